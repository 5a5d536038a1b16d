"""Every address asks who is there: the token of the header, what it may do, and which runs it may know of."""

from typing import Annotated, Any

from fastapi import Header, Path, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from starlette.exceptions import HTTPException

from engine.app import App
from engine.records import RunRecord
from engine.server.problems import refused
from engine.server.tokens import Caller, Tokens

_bearer = HTTPBearer(auto_error=False, description="A token, as `flowledger token add` gives.")


async def known_caller(
    request: Request,
    wanted: SecurityScopes,
    shown: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Caller:
    """Say who asks, if they may.

    Raises:
        HTTPException: they show no good token (401), it is not for this (403), or a parameter is not known (422).
    """
    tokens: Tokens = request.app.state.tokens
    caller = None if shown is None else await tokens.caller(shown.credentials)
    if caller is None:
        said = "no token" if shown is None else "this token is not known, or its time is over"
        raise HTTPException(
            401, f"{said}: send the header `Authorization: Bearer TOKEN`", {"WWW-Authenticate": "Bearer"}
        )
    if not caller.may(wanted.scopes):
        raise refused(403, f"this token may not do that: it needs the scope {', '.join(wanted.scopes)}")
    _refuse_strangers(request)
    return caller


Anybody = Annotated[Caller, Security(known_caller)]
Reader = Annotated[Caller, Security(known_caller, scopes=["runs:read"])]
Writer = Annotated[Caller, Security(known_caller, scopes=["runs:write"])]
Approver = Annotated[Caller, Security(known_caller, scopes=["approve"])]
Judge = Annotated[Caller, Security(known_caller, scopes=["outcomes"])]
RunId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="The run's id, 32 hex digits.")]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern="^[!-~]{1,255}$",
        description="Of your own: asked again with the same key, what there is is given, and nothing is made.",
    ),
]


async def run_of(app: App, run_id: str, caller: Caller) -> RunRecord:
    """Give a run that a caller may know of.

    Raises:
        HTTPException: there is none, or it is another tenant's (404 for both).
    """
    found: Any = await app.ledger.known([run_id])
    if not found or not caller.sees(found[0]):
        raise refused(404, f"there is no run {run_id}, or not for this token")
    return found[0]


def tenant_of(caller: Caller, named: str | None) -> str | None:
    """Say for which tenant something is.

    Raises:
        HTTPException: the token is not for the tenant that was named.
    """
    if caller.is_admin or named is None or named == caller.token.tenant:
        return named if caller.is_admin else caller.token.tenant
    raise refused(403, f"this token is not for the tenant {named!r}")


def _refuse_strangers(request: Request) -> None:
    """See that the address knows each parameter: one that is misspelt is not passed over in silence.

    Raises:
        HTTPException: it does not (422).
    """
    known = {parameter.alias for parameter in request.scope["route"].dependant.query_params}
    if unknown := sorted(set(request.query_params) - known):
        takes = ", ".join(sorted(known)) or "none"
        raise refused(422, f"there is no parameter {', '.join(map(repr, unknown))} here; this address takes {takes}")
