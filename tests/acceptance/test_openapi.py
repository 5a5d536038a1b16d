"""The OpenAPI document of the HTTP API is true: schemathesis tries every address against it and finds nothing.

For longer: `uv run schemathesis run http://127.0.0.1:8000/openapi.json -H "Authorization: Bearer TOKEN"`.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.parameters import ParameterLocation

from engine.server.serve import Serving
from tests.queues import NOTES, app_on, work
from tests.served import bearer

EXAMPLES = 6
SETTINGS = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


class Server(threading.Thread):
    """Serves an app from a thread of its own, with runs that stand in several ways."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url, self._is_up = url, threading.Event()
        self.address, self.token, self.runs = "", "", list[str]()

    def run(self) -> None:
        with suppress(asyncio.CancelledError):
            asyncio.run(self._serve())

    async def _serve(self) -> None:
        async with app_on(self._url, NOTES) as app:
            for number in range(3):
                run = await app.enqueue("notes", {"question": f"number {number}?"})
                self.runs.append(run.run_id)
                if number == 0:
                    await work(app)
            await app.cancel(self.runs[1])
            self._loop, self._serving = asyncio.get_running_loop(), asyncio.current_task()
            await Serving(app, port=0, on_start=self._up).run()

    def _up(self, address: str, token: str | None) -> None:
        self.address, self.token = address, token or ""
        self._is_up.set()

    def __enter__(self) -> "Server":
        self.start()
        assert self._is_up.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._serving.cancel)
        self.join(10)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with Server(f"sqlite:///{tmp_path_factory.mktemp('served')}/runs.db") as up:
        yield up


def operations(server: Server) -> dict[str, Any]:
    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json", headers=bearer(server.token))
    return {operation.ok().label: operation.ok() for operation in schema.get_all_operations()}


# LangGraph draws ids of checkpoints from the global `random`, in the thread of the server.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning")
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=str)
def test_every_address_answers_as_the_document_says(server: Server, mode: GenerationMode):
    found = operations(server)
    assert len(found) == 15
    if mode is GenerationMode.NEGATIVE:
        del found["GET /healthz"]  # there is nothing to get wrong
    for label, operation in found.items():
        stands = server.runs[:1] if label.endswith("/events") else server.runs  # others are followed for long

        @SETTINGS
        @given(case=operation.as_strategy(generation_mode=mode), run=st.sampled_from([*stands, None]))
        def answers_as_it_says(case: schemathesis.Case, run: str | None) -> None:
            if mode is GenerationMode.POSITIVE:
                case.query.pop("wait", None)
                if run is not None and "run_id" in case.path_parameters:
                    case.path_parameters["run_id"] = run
            header = case.meta.components.get(ParameterLocation.HEADER)
            is_wrong = header is not None and header.mode is GenerationMode.NEGATIVE  # it may be the token that is
            case.call_and_validate(headers={} if is_wrong else bearer(server.token))

        answers_as_it_says()
