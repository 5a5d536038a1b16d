"""What must be there after runs whose database failed meanwhile."""

from typing import Any

from engine.app import App
from engine.definition.guardrail import ALLOW, Action, GuardItem, Guardrail, Verdict
from engine.testing import ScriptedModel
from tests.flows import ask, run_id

STEPS = ["find", "draft", "check", "ticket"]


class Mentions(Guardrail):
    """Flags every text that mentions refunds."""

    def check_text(self, text: str, item: GuardItem) -> Verdict:
        return Verdict(action=Action.FLAG, reason=f"at {item.stage}") if "refunds" in text else ALLOW


def guarded() -> Any:
    return ask(guard_input=[Mentions()], guard_output=[Mentions()])


async def see_that_nothing_happened_twice(app: App, one: str, steps: list[str] = STEPS) -> None:
    assert [step.node_name for step in await app.ledger.steps(one) if step.status == "ok"] == steps
    done = [call.node_name for call in await app.ledger.calls(one) if call.status == "ok"]
    assert sorted(done) == sorted(step for step in steps if step != "check")


async def see_that_all_is_there_once(app: App, model: ScriptedModel, runs: int) -> None:
    assert len(model.asked) == runs
    assert len(await app.ledger.runs(limit=1000)) == runs
    for number in range(runs):
        await see_that_nothing_happened_twice(app, run_id(number))
        verdicts = [verdict.stage for verdict in await app.ledger.verdicts(run_id(number))]
        assert verdicts == ["run_input", *["run_output"] * (len(verdicts) - 1)]
        assert len(verdicts) == 2
