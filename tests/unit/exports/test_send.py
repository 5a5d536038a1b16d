"""A receiver of spans is named in errors without what may be a key."""

import httpx
import pytest

from engine.errors import ConfigurationError, ExportFailed
from engine.exports.send import Collector
from engine.testing import StillClock


def away(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError(f"no route to {request.url}")


ANSWERS = {
    "cannot be reached": away,
    "is busy": lambda _: httpx.Response(503),
    "refused the spans with 401": lambda _: httpx.Response(401),
}


@pytest.mark.parametrize("said", ANSWERS)
async def test_what_stands_behind_a_question_mark_is_sent_and_never_shown(said):
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return ANSWERS[said](request)

    collector = Collector.at("http://otel:4318/?key=secret", StillClock(), httpx.MockTransport(answer))
    with pytest.raises(ExportFailed, match=f"the receiver at http://otel:4318/v1/traces {said}") as failed:
        async with collector:
            await collector.send({"resourceSpans": []})
    assert asked[0] == "http://otel:4318/v1/traces?key=secret"
    assert "secret" not in str(failed.value)


def test_an_address_that_is_none_is_shown_without_it_too():
    with pytest.raises(ConfigurationError, match="--endpoint 'otel:4318' is no address"):
        Collector.at("otel:4318?key=secret", StillClock())
