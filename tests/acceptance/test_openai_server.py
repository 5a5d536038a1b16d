"""A workflow over real HTTP against an OpenAI-compatible server that misbehaves by a script."""

from typing import Literal

import pytest
from pydantic import BaseModel

from engine.app import App
from engine.definition.policies import Budget, Retry
from engine.errors import ConfigurationError
from engine.models.roles import Model
from engine.nodes.generate import Generate
from engine.records import RunStatus
from engine.testing import StillClock
from tests.flows import ask, line


def draft(**fields) -> Generate:
    return Generate(model="large", prompt="Say {question}", into="answer", max_tokens=50, **fields)


def app_over(llmock, workflow, clock=None, **model) -> App:
    role = Model("openai:gpt-5-mini", base_url=llmock.base_url(), **model)
    return App(workflows=[workflow], models={"large": role}, database="sqlite:///:memory:", clock=clock or StillClock())


async def test_an_answer_comes_with_its_tokens_and_its_cost(llmock):
    llmock.reply("good: five days")
    async with app_over(llmock, ask(budget=Budget(usd="0.05", tokens=5_000))) as app:
        result = await app.run("ask", {"question": "How long do refunds take?"})
        assert result.output["answer"] == "good: five days"
        chat = (await app.ledger.calls(result.run_id))[1]
        assert chat.provider_name == "openai"
        assert chat.usage_input_tokens > 0
        assert chat.cost_nano_usd > 0
        assert chat.price_catalogue_id
        assert result.cost_usd > 0


async def test_a_streamed_answer_is_heard_and_still_tells_its_tokens(llmock):
    llmock.reply("good: five days at the most")
    heard = []
    async with app_over(llmock, ask()) as app:
        result = await app.run("ask", {"question": "q"}, listener=heard.append)
        said = "".join(event.text for event in heard if type(event).__name__ == "TextDelta")
        assert said == result.output["answer"] == "good: five days at the most"
        chat = (await app.ledger.calls(result.run_id))[1]
        assert chat.usage_output_tokens > 0
        assert chat.time_to_first_chunk_ns is not None


class Sorted(BaseModel):
    """Which way to go."""

    route: Literal["left", "right"]


async def test_an_object_is_asked_for_by_a_tool_call(llmock):
    llmock.call_tool("Sorted", {"route": "left"})
    node = Generate(model="large", prompt="{question}", into={"route": "route"}, max_tokens=50, output=Sorted)
    async with app_over(llmock, line(("sort", node))) as app:
        assert (await app.run("line", {"question": "q"})).output["route"] == "left"


async def test_a_broken_tool_call_is_asked_for_again(llmock):
    llmock.break_tool_call("malformed_arguments", times=1)
    llmock.call_tool("Sorted", {"route": "left"}, times=None)
    node = Generate(model="large", prompt="{question}", into={"route": "route"}, max_tokens=50, output=Sorted, reasks=2)
    async with app_over(llmock, line(("sort", node))) as app:
        result = await app.run("line", {"question": "q"})
        assert result.output["route"] == "left"
        assert result.calls == 2


async def test_a_rate_limit_is_waited_for_and_every_attempt_is_a_row(llmock):
    llmock.rate_limit(times=2, retry_after=3.0)
    clock = StillClock()
    async with app_over(llmock, line(("draft", draft())), clock=clock) as app:
        result = await app.run("line", {"question": "q"})
        assert result.status is RunStatus.SUCCEEDED
        assert clock.slept == [3.0, 3.0]
        calls = await app.ledger.calls(result.run_id)
        assert [(call.status, call.error_type) for call in calls] == [
            ("failed", "RateLimited"),
            ("failed", "RateLimited"),
            ("ok", None),
        ]
        assert [call.cost_nano_usd > 0 for call in calls] == [False, False, True]
    assert len(llmock.requests) == 3


async def test_a_server_error_is_tried_again_and_then_reported(llmock):
    llmock.fail(500, times=None)
    async with app_over(llmock, line(("draft", draft(retry=Retry(attempts=3))))) as app:
        result = await app.run("line", {"question": "q"})
        assert (result.status, result.error.type, result.error.exit_code) == (RunStatus.FAILED, "Overloaded", 3)
        assert "openai:gpt-5-mini answered 500" in result.error.message
    assert len(llmock.requests) == 3


@pytest.mark.parametrize(
    ("code", "kind"), [(400, "BadRequest"), (401, "AuthenticationFailed"), (404, "TargetNotFound")]
)
async def test_a_refusal_is_reported_at_once(llmock, code, kind):
    llmock.fail(code, times=None)
    async with app_over(llmock, line(("draft", draft()))) as app:
        assert (await app.run("line", {"question": "q"})).error.type == kind
    assert len(llmock.requests) == 1


async def test_a_hang_ends_at_the_time_out_and_is_charged_at_its_reservation(llmock):
    llmock.delay(2, times=1)
    async with app_over(llmock, line(("draft", draft(call_seconds=0.5)))) as app:
        result = await app.run("line", {"question": "q"})
        hung, fine = await app.ledger.calls(result.run_id)
        assert (hung.status, hung.error_type, hung.cost_nano_usd) == ("failed", "CallTimeout", None)
        assert hung.charged_tokens > fine.charged_tokens
        assert fine.status == "ok"


@pytest.mark.parametrize("fault", ["disconnect", "truncate", "corrupt"])
async def test_a_broken_stream_is_a_failed_attempt(llmock, fault):
    llmock.reply("one two three four five six seven eight", times=None)
    getattr(llmock, fault)(after_chunks=2, times=1)
    heard = []
    async with app_over(llmock, line(("draft", draft()))) as app:
        result = await app.run("line", {"question": "q"}, listener=heard.append)
        assert result.output["answer"] == "one two three four five six seven eight"
        broken, fine = await app.ledger.calls(result.run_id)
        assert broken.status == "failed"
        assert broken.error_type in {"ConnectionFailed", "MalformedOutput"}
        assert fine.status == "ok"
        assert "TextReset" in [type(event).__name__ for event in heard]


async def test_a_server_that_is_not_there_is_named(llmock):
    role = Model("openai:gpt-5-mini", base_url="http://127.0.0.1:9/v1")
    workflow = line(("draft", draft(retry=Retry(attempts=1))))
    async with App(workflows=[workflow], models={"large": role}, database="sqlite:///:memory:") as app:
        result = await app.run("line", {"question": "q"})
        assert (result.error.type, result.error.exit_code) == ("ConnectionFailed", 3)


async def test_a_missing_key_is_named_before_a_run_begins(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    workflow = line(("draft", draft()))
    async with App(workflows=[workflow], models={"large": "openai:gpt-5-mini"}, database="sqlite:///:memory:") as app:
        with pytest.raises(ConfigurationError, match="has no key: set OPENAI_API_KEY"):
            await app.run("line", {"question": "q"})


@pytest.mark.parametrize("spec", ["gpt-5-mini", "openia:gpt-5", "openai:"])
async def test_a_wrong_model_string_is_named_before_a_run_begins(spec):
    async with App(workflows=[line(("draft", draft()))], models={"large": spec}, database="sqlite:///:memory:") as app:
        with pytest.raises(ConfigurationError, match=r"write provider:model, as in openai:gpt-5-mini"):
            await app.run("line", {"question": "q"})
