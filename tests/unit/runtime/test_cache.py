"""The cache: what a node wrote is used again, for the same node, models, tenant and inputs, for a while."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import App, Budget, Cache, CallTool, DefinitionError, Model, Price, Retry
from engine.definition.guardrail import Action
from engine.errors import Overloaded, ToolFailed
from engine.nodes.generate import Generate
from engine.reports.cache import caches
from engine.runtime.middleware.cache import Kept, StepCache
from engine.testing import ScriptedModel, StillClock
from tests.databases import SHARED, ready
from tests.desk import agent
from tests.flows import app_for, line, noting, scripted
from tests.unit.runtime.test_guards import Word

STARTED: list[asyncio.Event] = []
WAITING: list[asyncio.Event] = []
MADE: list[str] = []


def draft(prompt: str = "{question}", **fields: Any) -> Generate:
    given = {"cache": Cache(ttl=60), "retry": Retry(attempts=1), "max_tokens": 50} | fields
    return Generate(model="large", prompt=prompt, into="answer", **given)


async def answer(app: App, question: str = "q", **who: str) -> str | None:
    return (await app.run("line", {"question": question}, **who)).output.get("answer")


async def test_the_same_inputs_are_answered_without_a_call_until_their_time_is_over():
    clock, model = StillClock(), ScriptedModel(script=["one", "two"])
    async with app_for(line(("draft", draft())), clock=clock, large=model) as app:
        assert await answer(app) == "one"
        again = await app.run("line", {"question": "q"})
        assert (again.output["answer"], again.calls, again.input_tokens) == ("one", 0, 0)
        assert (await app.ledger.steps(again.run_id))[0].cached
        clock.advance(61)
        assert await answer(app) == "two"


VERSIONS = {"docs": "1"}


def version_of(question: str) -> str:
    """Say which version of the docs there is."""
    return VERSIONS["docs"] if question else "none"


async def async_version(route: str) -> str:
    """Say the same, and wait for it."""
    return VERSIONS["docs"] + route


@pytest.mark.parametrize("version", [version_of, async_version])
async def test_what_was_made_under_another_version_is_not_used(version):
    model = ScriptedModel(script=["one", "two"])
    async with app_for(line(("draft", draft(cache=Cache(ttl=60, version=version)))), large=model) as app:
        assert [await answer(app), await answer(app)] == ["one", "one"]
        VERSIONS["docs"] += "x"
        assert await answer(app) == "two"


def no_version(question: str) -> str:
    """Raise."""
    raise OSError("the index is gone") if question == "q" else ToolFailed("there is no such collection")


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("q", "the version of the cache of 'draft' raised OSError: the index is gone"),
        ("other", "there is no such collection"),
    ],
)
async def test_a_version_that_cannot_be_told_fails_the_step_and_says_why(question, said):
    async with app_for(line(("draft", draft(cache=Cache(version=no_version)))), large=scripted("one")) as app:
        result = await app.run("line", {"question": question})
        assert said in str(result.error)


def built_at(question: str) -> datetime:
    """Say when the index was built."""
    return datetime(2026, 1, 1, tzinfo=UTC)


async def test_a_version_may_be_a_time():
    async with app_for(line(("draft", draft(cache=Cache(version=built_at)))), large=scripted("one")) as app:
        assert [await answer(app), await answer(app)] == ["one", "one"]


@pytest.mark.parametrize("fields", [{"ttl": float("inf")}, {"stale": float("inf")}])
def test_a_time_that_never_ends_is_refused(fields):
    with pytest.raises(DefinitionError, match="less than or equal to 1000000000"):
        Cache(**fields)


def test_a_version_goes_by_fields_that_there_are():
    with pytest.raises(DefinitionError, match="the version of the cache of 'draft' goes by 'colour'"):
        line(("draft", draft(cache=Cache(version=by_colour))))


def by_colour(colour: str) -> str:
    """Say it."""
    return colour


async def test_an_answer_whose_time_is_over_stands_in_where_the_node_fails_and_says_so():
    clock, model = StillClock(), ScriptedModel(script=["one", Overloaded("down")])
    async with app_for(line(("draft", draft(cache=Cache(ttl=60, stale=600)))), clock=clock, large=model) as app:
        assert await answer(app) == "one"
        clock.advance(61)
        for _ in range(2):  # it is not kept anew
            result = await app.run("line", {"question": "q"})
            (step,) = await app.ledger.steps(result.run_id)
            assert (result.output["answer"], step.degraded, step.error_type) == ("one", "stale", "Overloaded")
        assert len(model.asked) == 3
        clock.advance(600)
        assert (await app.run("line", {"question": "q"})).status == "failed"


async def test_a_stale_answer_stands_in_where_the_budget_is_used_up_and_not_where_a_guardrail_blocks():
    clock, kept = StillClock(), draft(cache=Cache(ttl=60, stale=600))
    async with app_for(line(("draft", kept)), clock=clock, large=scripted("one")) as app:
        assert await answer(app, "q") == "one"
        clock.advance(61)
        app.workflows["line"] = line(("draft", kept), budget=Budget(tokens=1))
        assert await answer(app, "q") == "one"
    blocking = draft(cache=Cache(ttl=60, stale=600), guard_output=[Word(word="bad", action=Action.BLOCK)])
    async with app_for(line(("draft", blocking)), clock=clock, large=scripted("good", "bad")) as app:
        assert await answer(app, "w") == "good"
        clock.advance(61)
        assert (await app.run("line", {"question": "w"})).status == "blocked"


async def test_a_hit_says_what_it_has_saved():
    async with app_for(line(("draft", draft())), large=scripted("one", input_tokens=10, output_tokens=5)) as app:
        for _ in range(3):
            await answer(app)
        (row,) = await caches(app.ledger, app.clock.now())
        assert (row.node, row.entries, row.hits, row.saved_tokens, row.saved_nano_usd) == ("draft", 1, 2, 30, 30_000)


@SHARED
async def test_what_one_process_made_another_uses_and_so_does_the_next(database_url):
    url, clock = ready(database_url), StillClock()
    models = [
        Model(ScriptedModel(script=[f"made by {number}"]), price=Price(input="1", output="1")) for number in (1, 2)
    ]
    for number, model in enumerate(models):
        async with App(workflows=[line(("draft", draft()))], models={"large": model}, database=url, clock=clock) as app:
            assert await answer(app) == "made by 1", number
    async with App(workflows=[line(("draft", draft()))], models={"large": models[1]}, database=url) as app:
        assert await app.clear_cache(workflow="line", node="draft") in (0, 1)


@pytest.mark.parametrize(
    "changed",
    [draft("Say {question}"), draft(max_tokens=40), draft(guard_output=[Word(word="x", action=Action.MASK)])],
)
async def test_another_prompt_parameter_or_guardrail_is_asked_anew(changed):
    async with app_for(line(("draft", draft())), large=scripted("one", "two")) as app:
        await answer(app)
        app.workflows["line"] = line(("draft", changed))
        assert await answer(app) == "two"


async def test_another_node_of_the_workflow_may_change():
    async with app_for(line(("draft", draft())), large=scripted("one", "two")) as app:
        await answer(app)
        app.workflows["line"] = line(("draft", draft()), ("note", noting()))
        assert await answer(app) == "one"


async def test_a_model_of_other_parameters_is_asked_anew():
    model = ScriptedModel(script=["one", "two"])
    app = app_for(line(("draft", draft())), large=Model(model, price=Price(input="1", output="1")))
    async with app:
        await answer(app)
        await app.close()
        app.models["large"] = Model(model, price=Price(input="1", output="1"), params={"temperature": 0})
        assert await answer(app) == "two"


async def test_tenants_do_not_see_what_was_made_for_others_unless_it_is_shared():
    async with app_for(line(("draft", draft())), large=scripted("one", "two", "three")) as app:
        assert [await answer(app, tenant=who) for who in ("a", "b", "a")] == ["one", "two", "one"]
        app.workflows["line"] = line(("draft", draft(cache=Cache(ttl=60, shared=True))))
        assert [await answer(app, tenant=who) for who in ("a", "b")] == ["three", "three"]


async def test_a_failure_a_canned_answer_and_what_is_blocked_are_never_kept():
    canned = draft(canned={"answer": "canned"})
    async with app_for(line(("draft", canned)), large=scripted(ValueError("odd"), "fine")) as app:
        assert [await answer(app) for _ in range(3)] == ["canned", "fine", "fine"]
    blocking = draft(guard_output=[Word(word="bad", action=Action.BLOCK)])
    async with app_for(line(("draft", blocking)), large=scripted("bad", "good")) as app:
        assert [await answer(app) for _ in range(2)] == [None, "good"]


async def look_up(question: str) -> str:
    """Look something up, once it may."""
    MADE.append(question)
    STARTED[0].set()
    await WAITING[0].wait()
    return f"found {question}"


LOOKING = line(
    ("look", CallTool(tool=look_up, effect="read", args={"question": "question"}, into="ticket", cache=Cache()))
)


@pytest.fixture
async def looking():
    """Give an app whose tool has begun its work, and the run that it works for."""
    STARTED[:], WAITING[:], MADE[:] = [asyncio.Event()], [asyncio.Event()], []
    async with app_for(LOOKING) as app:
        first = asyncio.create_task(found(app))
        await STARTED[0].wait()
        yield app, first


async def found(app: App) -> str:
    return (await app.run("line", {"question": "q"})).output["ticket"]


async def test_who_asks_for_what_is_being_made_waits_for_it(looking):
    app, first = looking
    others = [asyncio.create_task(found(app)) for _ in range(20)]
    await asyncio.sleep(0)
    WAITING[0].set()
    assert await asyncio.gather(first, *others) == ["found q"] * 21
    assert MADE == ["q"]


async def test_who_waited_for_what_was_cancelled_makes_it(looking):
    app, first = looking
    second = asyncio.create_task(found(app))
    await asyncio.sleep(0)
    first.cancel()
    WAITING[0].set()
    assert await second == "found q"
    assert MADE == ["q", "q"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), min_size=1, max_size=12))
async def test_whatever_fails_nothing_is_made_twice_and_no_failure_is_kept(asked):
    failures = {question: sum(fails for one, fails in asked if one == question) // 2 for question in "ab"}
    made: list[str] = []

    def say(messages: Any) -> Any:
        question = messages[-1].text
        made.append(question)
        return ValueError("odd") if made.count(question) <= failures[question] else f"{question} {len(made)}"

    async with app_for(line(("draft", draft())), large=Model(ScriptedModel(script=[say]))) as app:
        answers = await asyncio.gather(*(answer(app, question) for question, _ in asked))
    for question in {question for question, _ in asked}:
        got = [one for one, (of, _) in zip(answers, asked, strict=True) if of == question]
        assert len(set(got) - {None}) <= 1
        assert made.count(question) == got.count(None) + len(set(got) - {None})


def pays(question: str, *, idempotency_key: str) -> str:
    """Pay."""
    return question


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (
            CallTool(tool=pays, effect="idempotent", args={"question": "question"}, into="ticket", cache=Cache()),
            "'idempot",
        ),
        (agent(cache=Cache()), "has a cache, and a Agent cannot: give one to the nodes inside it"),
    ],
)
def test_what_acts_or_asks_many_things_has_no_cache(node, said):
    with pytest.raises(DefinitionError) as refused:
        line(("node", node))
    assert said in str(refused.value)


def test_the_least_recently_used_entries_go_first():
    kept, one = StepCache(most=2), Kept({}, 0, 0)
    for key in ("a", "b"):
        kept.put(key, one, 10)
    assert kept.get("a", 0) is one
    kept.put("c", one, 10)
    assert kept.get("b", 0) is None
    assert kept.get("a", 0) is one
    assert kept.get("a", 10) is None
