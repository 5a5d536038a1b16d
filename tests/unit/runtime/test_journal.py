"""The journal: a call that had finished is answered from its record when its step runs again."""

from langchain_core.messages import HumanMessage

from engine.definition.node import Node
from engine.records import RunStatus
from engine.testing import ScriptedModel
from tests.flows import app_for, line

TIMES = {"fails": 0}
ASKED = {"first": "one?", "second": "two?"}


class AsksTwice(Node):
    """Asks twice, and breaks down in between as often as it is told to."""

    @property
    def roles(self):
        return ("large",)

    @property
    def writes(self):
        return {"answer": str}

    async def run(self, inputs, ctx):
        first = await ctx.generate("large", [HumanMessage(ASKED["first"])], max_tokens=5)
        drawn = ctx.random()
        if TIMES["fails"] > 0:
            TIMES["fails"] -= 1
            raise RuntimeError(f"drew {drawn} at {ctx.now()}")
        second = await ctx.generate("large", [HumanMessage(ASKED["second"])], max_tokens=5)
        return {"answer": f"{first.text} {second.text} {drawn} {ctx.now()}"}


def asking() -> tuple[ScriptedModel, object]:
    model = ScriptedModel(script=["one", "two", "three"])
    return model, app_for(line(("node", AsksTwice()), output=["answer"]), large=model)


async def test_a_finished_call_is_not_made_again_and_time_and_chance_are_the_same():
    TIMES["fails"] = 1
    model, app = asking()
    async with app:
        failed = await app.run("line", {"question": "q"})
        assert failed.status is RunStatus.FAILED
        app.clock.advance(3600)
        result = (await app.resume(failed.run_id)).raise_for_status()
        assert result.output["answer"].startswith("one two")
        drawn, at = failed.error.message.partition("drew ")[2].split(" at ")
        assert result.output["answer"] == f"one two {drawn} {at}"
        assert (result.calls, result.steps) == (2, 2)
        assert [(step.attempt, step.status) for step in await app.ledger.steps(result.run_id)] == [
            (1, "failed"),
            (2, "ok"),
        ]
    assert len(model.asked) == 2


async def test_a_request_that_has_changed_is_noted_and_made():
    TIMES["fails"] = 1
    model, app = asking()
    async with app:
        failed = await app.run("line", {"question": "q"})
        (first,) = await app.ledger.calls(failed.run_id)
        ASKED["first"] = "another question?"
        (await app.resume(failed.run_id)).raise_for_status()
        _, again, second = await app.ledger.calls(failed.run_id)
        assert (again.ordinal, again.diverged_from) == (1, first.request_hash)
        assert second.diverged_from is None
    ASKED["first"] = "one?"
    assert [messages[0].content for messages in model.asked] == ["one?", "another question?", "two?"]
