"""What callers hear when something goes wrong: `application/problem+json` (RFC 9457), one sentence, no traceback."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from engine.errors import ConfigurationError, EngineError, InputError, RunBusy, StoreError, VersionChanged

MEDIA_TYPE = "application/problem+json"
_log = logging.getLogger("flowledger.server")
_STATUS: dict[type[EngineError], int] = {InputError: 422, RunBusy: 409, VersionChanged: 409}
_OURS = {  # what it says is for whoever runs the server; the caller hears no address and no setting
    StoreError: (503, "the ledger cannot be used just now: try again in a while"),
    ConfigurationError: (500, "the server is not set up for this: its log says what is missing"),
}


class Problem(BaseModel):
    """Why a request was not done.

    Attributes:
        type: always `about:blank`: the status says what kind it is.
        title: the phrase of the status.
        detail: one sentence that says what, where and how to mend it.
        error: the class of the engine's error, where it was one.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    error: str | None = None


def problem(
    status: int, detail: str, *, error: str | None = None, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Make the answer that says what went wrong."""
    said = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, error=error)
    plain = said.model_dump(exclude_none=True)
    return JSONResponse(plain, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def refused(status: int, detail: str) -> HTTPException:
    """Make the error that ends a request."""
    return HTTPException(status, detail)


def told(error: EngineError) -> Problem:
    """Say what a caller hears of an error of the engine; what is not for callers is logged."""
    name = type(error).__name__
    for kind, (status, detail) in _OURS.items():
        if isinstance(error, kind):
            _log.error("%s: %s", name, error)
            return Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, error=name)
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
    return Problem(title=HTTPStatus(status).phrase, status=status, detail=str(error), error=name)


def add_handlers(api: FastAPI) -> None:
    """Have every error of a request answered with a problem."""
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(EngineError, _engine)
    api.add_exception_handler(Exception, _unforeseen)


async def _http(_: Request, error: Any) -> JSONResponse:
    return problem(error.status_code, str(error.detail), headers=error.headers)


async def _invalid(_: Request, error: Any) -> JSONResponse:
    faults = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
    return problem(422, f"the request is not what this address takes: {'; '.join(faults)}")


async def _engine(_: Request, error: Any) -> JSONResponse:
    said = told(error)
    headers = {"Retry-After": "5"} if said.status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return problem(said.status, said.detail, error=said.error, headers=headers)


async def _unforeseen(_: Request, error: Any) -> JSONResponse:
    del error  # it is logged whole by the server
    return problem(500, "something went wrong in the server: its log says what")


def _answer(what: str) -> dict[str, Any]:
    return {"description": what, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: _answer("The request cannot be read."),
    401: _answer("No token, or not one that is good."),
    403: _answer("The token is not for this."),
    404: _answer("There is none, or it is another tenant's."),
    408: _answer("The request did not come in time."),
    409: _answer("It does not stand in a way that allows this."),
    413: _answer("The body is too large."),
    422: _answer("The request is not what this address takes."),
    500: _answer("Something went wrong in the server."),
    503: _answer("The ledger cannot be used just now."),
}
"""What every address may answer besides what it is for, for the OpenAPI document."""
