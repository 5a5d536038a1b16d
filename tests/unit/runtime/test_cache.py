"""The cache: what a node wrote is used again for the same definition, models and inputs, for a while."""

from engine.definition.policies import Cache
from engine.nodes.generate import Generate
from engine.runtime.middleware.cache import StepCache
from engine.testing import ScriptedModel, StillClock
from tests.flows import app_for, line


def draft(prompt: str = "{question}"):
    node = Generate(model="large", prompt=prompt, into="answer", max_tokens=50, cache=Cache(ttl=60))
    return line(("draft", node))


async def test_the_same_inputs_are_answered_without_a_call_until_their_time_is_over():
    clock, model = StillClock(), ScriptedModel(script=["one", "two"])
    async with app_for(draft(), clock=clock, large=model) as app:
        first = await app.run("line", {"question": "q"})
        again = await app.run("line", {"question": "q"})
        assert (first.output["answer"], again.output["answer"], again.calls) == ("one", "one", 0)
        assert (await app.ledger.steps(again.run_id))[0].cached
        clock.advance(61)
        assert (await app.run("line", {"question": "q"})).output["answer"] == "two"


async def test_other_inputs_and_other_prompts_are_asked_anew():
    model = ScriptedModel(script=["one", "two", "three"])
    async with app_for(draft(), large=model) as app:
        await app.run("line", {"question": "q"})
        assert (await app.run("line", {"question": "p"})).output["answer"] == "two"
        app.workflows["line"] = draft("Say {question}")
        assert (await app.run("line", {"question": "q"})).output["answer"] == "three"


async def test_a_failure_is_never_kept():
    model = ScriptedModel(script=[ValueError("odd"), "fine"])
    async with app_for(draft(), large=model) as app:
        await app.run("line", {"question": "q"})
        assert (await app.run("line", {"question": "q"})).output["answer"] == "fine"


def test_the_least_recently_used_entries_go_first():
    kept = StepCache(most=2)
    for key in ("a", "b"):
        kept.put(key, {}, 10)
    assert kept.get("a", 0) == {}
    kept.put("c", {}, 10)
    assert kept.get("b", 0) is None
    assert kept.get("a", 0) == {}
