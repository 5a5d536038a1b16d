"""Retries: which errors, how long the waits, and what the target itself asks for."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from engine.definition.policies import Breaker, Budget, Retry
from engine.errors import (
    AuthenticationFailed,
    BadRequest,
    BudgetExceeded,
    CallTimeout,
    ConnectionFailed,
    ContentFiltered,
    ContextTooLong,
    MalformedOutput,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    TargetNotFound,
)
from engine.models.roles import Model
from engine.nodes.generate import Generate
from engine.records import RunStatus
from engine.runtime.classify import as_call_error, scrub
from engine.testing import ScriptedModel, StillClock
from engine.usage import Price
from tests.flows import app_for, line, scripted


def draft(**fields):
    return line(("draft", Generate(model="large", prompt="{question}", into="answer", max_tokens=50, **fields)))


def status(code: int, headers: dict[str, str] | None = None, text: str = "no") -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "http://model")
    response = httpx.Response(code, headers=headers, request=request)
    return httpx.HTTPStatusError(text, request=request, response=response)


async def test_an_error_that_may_pass_is_tried_again_with_longer_waits():
    clock = StillClock()
    async with app_for(draft(), clock=clock, large=scripted(status(500), status(503), "fine")) as app:
        result = await app.run("line", {"question": "q"})
        assert result.output["answer"] == "fine"
        assert clock.slept == [0.5, 1.0]
        calls = await app.ledger.calls(result.run_id)
        assert [(call.attempt, call.status, call.error_type) for call in calls] == [
            (1, "failed", "Overloaded"),
            (2, "failed", "Overloaded"),
            (3, "ok", None),
        ]


async def test_chance_lengthens_a_wait_by_its_share():
    clock = StillClock(chance=1.0)
    async with app_for(draft(), clock=clock, large=scripted(status(500), "fine")) as app:
        await app.run("line", {"question": "q"})
    assert clock.slept == [0.625]


async def test_a_target_that_says_when_to_come_back_is_believed():
    clock = StillClock()
    async with app_for(draft(), clock=clock, large=scripted(status(429, {"retry-after": "7"}), "fine")) as app:
        result = await app.run("line", {"question": "q"})
        assert clock.slept == [7.0]
        assert (await app.ledger.calls(result.run_id))[0].retry_after_s == 7.0


async def test_a_target_that_asks_for_too_long_is_not_asked_again():
    clock = StillClock()
    async with app_for(draft(), clock=clock, large=scripted(status(429, {"retry-after": "3600"}), "fine")) as app:
        result = await app.run("line", {"question": "q"})
        assert (result.status, clock.slept) == (RunStatus.FAILED, [])
        assert result.error.type == "RateLimited"
        assert result.error.exit_code == 3


async def test_no_wait_follows_the_last_attempt():
    clock = StillClock()
    async with app_for(draft(retry=Retry(attempts=2)), clock=clock, large=scripted(status(500))) as app:
        result = await app.run("line", {"question": "q"})
        assert clock.slept == [0.5]
        assert result.calls == 2


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422])
async def test_an_error_that_will_not_pass_is_not_tried_again(code):
    async with app_for(draft(), large=scripted(status(code), "fine")) as app:
        assert (await app.run("line", {"question": "q"})).calls == 1


async def test_the_backup_is_asked_when_the_first_model_has_failed():
    first = ScriptedModel(script=[status(503)], model_name="first")
    second = ScriptedModel(script=["from the backup"], model_name="second")
    free = Price(input="0", output="0")
    role = Model(first, backup=Model(second, price=free), price=free)
    async with app_for(draft(retry=Retry(attempts=2)), large=role) as app:
        result = await app.run("line", {"question": "q"})
        assert result.output["answer"] == "from the backup"
        calls = await app.ledger.calls(result.run_id)
        assert [(call.request_model, call.attempt) for call in calls] == [("first", 1), ("first", 2), ("second", 3)]


async def test_the_first_cause_is_kept_when_the_backup_fails_too():
    role = Model(ScriptedModel(script=[status(404)]), backup=ScriptedModel(script=[status(401)]))
    async with app_for(draft(), large=role) as app:
        assert (await app.run("line", {"question": "q"})).error.type == "TargetNotFound"


class APIConnectionError(Exception):
    """Named like the vendors' own."""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (status(429), RateLimited),
        (status(408), CallTimeout),
        (status(500), Overloaded),
        (status(529), Overloaded),
        (status(401), AuthenticationFailed),
        (status(404), TargetNotFound),
        (status(400), BadRequest),
        (status(400, text="maximum context length is 8192 tokens"), ContextTooLong),
        (status(400, text="content_filter triggered"), ContentFiltered),
        (httpx.ReadTimeout("slow"), CallTimeout),
        (httpx.ConnectError("refused"), ConnectionFailed),
        (httpx.RemoteProtocolError("cut"), ConnectionFailed),
        (APIConnectionError("cut"), ConnectionFailed),
        (ConnectionResetError(), ConnectionFailed),
        (TimeoutError(), CallTimeout),
        (json.JSONDecodeError("bad", "{", 0), MalformedOutput),
        (ValueError("odd"), BadRequest),
        (BudgetExceeded("spent"), BudgetExceeded),
    ],
)
def test_errors_of_vendors_are_known_by_kind(error, kind):
    assert type(as_call_error(error, "a model")) is kind


def test_a_date_may_say_when_to_come_back():
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    error = as_call_error(status(429, {"retry-after": later}), "a model")
    assert 80 < error.retry_after <= 90
    assert as_call_error(status(429, {"retry-after": "soon"}), "a model").retry_after is None
    assert as_call_error(status(429, {"retry-after-ms": "1500"}), "a model").retry_after == 1.5


def test_secrets_of_the_environment_never_stand_in_an_error(monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "sk-verysecret")
    assert "verysecret" not in str(as_call_error(status(401, text="wrong key sk-verysecret"), "a model"))
    assert scrub("sk-verysecret") == "***"


async def test_a_wait_that_would_outlast_the_time_that_is_left_is_not_begun():
    clock = StillClock()
    workflow = draft(seconds=5)
    async with app_for(workflow, clock=clock, large=scripted(status(429, {"retry-after": "7"}), "fine")) as app:
        result = await app.run("line", {"question": "q"})
        assert (result.error.type, clock.slept) == ("RateLimited", [])
        assert "it was not tried again, since the wait of 7.0 s would outlast the 5.0 s that are left" in str(
            result.error
        )


async def test_the_time_of_a_run_bounds_the_waits_of_its_steps():
    clock = StillClock()
    workflow = line(*draft().nodes.items(), budget=Budget(seconds=2))
    async with app_for(workflow, clock=clock, large=scripted(status(429, {"retry-after": "3"}), "fine")) as app:
        assert (await app.run("line", {"question": "q"})).error.type == "RateLimited"
        assert clock.slept == []


async def test_a_run_tries_again_as_often_as_its_budget_allows():
    workflow = line(*draft(retry=Retry(attempts=9)).nodes.items(), budget=Budget(retries=2))
    async with app_for(workflow, large=scripted(status(500))) as app:
        result = await app.run("line", {"question": "q"})
        assert (result.status, result.calls) == (RunStatus.FAILED, 3)
        assert "the retries of the budget are used up" in result.error.message


async def test_a_target_that_is_down_is_not_asked_again_and_again_by_every_run():
    workflow = draft(retry=Retry(attempts=3, share=0.1), breaker=Breaker(failures=10_000, failure_rate=None))
    async with app_for(workflow, large=scripted(status(500))) as app:
        results = [await app.run("line", {"question": "q"}) for _ in range(100)]
        attempts = sum(result.calls for result in results)
        assert 100 + 20 <= attempts <= 100 + 20 + 0.1 * 100 + 1
        assert "fails too often for everybody to try again" in results[-1].error.message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m1s"}, 361.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "20ms"}, 0.02),
        ({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "20s"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "soon"}, None),
        ({"x-ratelimit-remaining-tokens": "0"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1.5"}, 1.5),
        (
            {"anthropic-ratelimit-tokens-remaining": "0", "anthropic-ratelimit-tokens-reset": "2020-01-01T00:00:00Z"},
            0.0,
        ),
        ({"retry-after": "2", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "9s"}, 2.0),
    ],
)
def test_the_reset_of_a_limit_that_is_used_up_is_waited_for(headers, seconds):
    assert as_call_error(status(429, headers), "m").retry_after == seconds


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (429, "You exceeded your current quota (insufficient_quota)", QuotaExhausted),
        (400, "Your credit balance is too low to access the API", QuotaExhausted),
        (402, "payment required", QuotaExhausted),
        (529, "overloaded_error", Overloaded),
        (400, "The input token count (40000) exceeds the maximum number of tokens allowed", ContextTooLong),
    ],
)
def test_what_providers_say_becomes_a_kind(code, text, kind):
    assert type(as_call_error(status(code, text=text), "m")) is kind
