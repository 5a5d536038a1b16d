"""Subflow: a workflow as a node, with a state, a budget and guardrails of its own."""

from typing import Any

import pytest

from engine.definition.edges import END, START, Branch, Chain
from engine.definition.guardrail import ALLOW, Action, GuardItem, Guardrail, Verdict
from engine.definition.policies import Budget
from engine.definition.state import State
from engine.definition.workflow import Workflow
from engine.errors import ConfigurationError, DefinitionError
from engine.models.roles import Model
from engine.nodes.compute import Compute
from engine.nodes.generate import Generate
from engine.nodes.subflow import Subflow
from engine.records import RunStatus
from engine.testing import ScriptedModel
from tests.flows import app_for, line, scripted


class Inner(State):
    topic: str
    turns: int = 0
    done: bool = False
    text: str = ""


class Outer(State):
    subject: str = "ships"
    report: str = ""
    number: int = 0


FAILS = {"left": 0, "at": 1}


def turn(turns: int) -> dict[str, Any]:
    """Count to three, or break down."""
    if turns == FAILS["at"] and FAILS["left"]:
        FAILS["left"] -= 1
        raise RuntimeError("broke down")
    return {"turns": turns + 1, "done": turns + 1 == 3}


def inner(**fields: Any) -> Workflow:
    """Give a workflow with a loop of three turns and a question to a model in each."""
    given: dict[str, Any] = {
        "name": "inner",
        "state": Inner,
        "nodes": {
            "ask": Generate(model="large", prompt="{topic} {turns}", into="text", max_tokens=5, max_visits=5),
            "turn": Compute(function=turn, into=("turns", "done")),
        },
        "edges": [Chain(START, "ask", "turn"), Branch("turn", on="done", to={True: END, False: "ask"})],
        "output": ["text"],
    }
    return Workflow(**(given | fields))


def outer(workflow: Workflow | None = None, **fields: Any) -> Workflow:
    """Give a workflow of one node that runs another."""
    given = {"workflow": workflow or inner(), "input": {"topic": "subject"}, "into": {"text": "report"}} | fields
    return line(("sub", Subflow(**given)), state=Outer, output=["report"])


async def test_its_steps_stand_under_its_own_and_its_state_is_its_own():
    model = ScriptedModel(script=["one", "two", "three"])
    async with app_for(outer(), large=model) as app:
        result = (await app.run("line", {})).raise_for_status()
        assert result.output == {"report": "three"}
        whole, *steps = await app.ledger.steps(result.run_id)
        assert [(step.node_name, step.visit) for step in steps] == [
            (f"sub/{name}", number) for number in (1, 2, 3) for name in ("ask", "turn")
        ]
        assert {step.parent_step_id for step in steps} == {whole.step_id}
        assert result.steps == 7
    assert [messages[0].content for messages in model.asked] == ["ships 0", "ships 1", "ships 2"]


async def test_a_run_that_goes_on_goes_on_inside_it_and_pays_nothing_twice():
    FAILS.update(left=1, at=1)
    model = ScriptedModel(script=["one", "two", "three"])
    async with app_for(outer(inner(budget=Budget(calls=3))), large=model) as app:
        failed = await app.run("line", {})
        assert (failed.error.node, failed.status) == ("sub/turn", RunStatus.FAILED)
        result = (await app.resume(failed.run_id)).raise_for_status()
        assert (result.output, len(model.asked), result.calls) == ({"report": "three"}, 3, 3)


def named(name: str) -> Workflow:
    """Give a sub-workflow whose second node has this name, and breaks down."""
    ask = Generate(model="large", prompt="{topic}", into="text", max_tokens=5)
    nodes = {"ask": ask, name: Compute(function=turn, into=("turns", "done"))}
    return outer(inner(nodes=nodes, edges=[Chain(START, "ask", name, END)]))


async def test_a_node_inside_that_is_gone_does_not_end_the_run_as_if_it_had_succeeded(tmp_path):
    FAILS.update(left=1, at=0)
    ways = {"database": f"sqlite:///{tmp_path}/runs.db", "large": scripted("text")}
    async with app_for(named("turn"), **ways) as app:
        run_id = (await app.run("line", {})).run_id
        assert [step.node_name for step in await app.ledger.steps(run_id)] == ["sub", "sub/ask", "sub/turn"]
    async with app_for(named("count"), **ways) as app:
        failed = await app.resume(run_id, accept_version=True)
        assert (failed.status, failed.error.type) == (RunStatus.FAILED, "VersionChanged")
        assert "waits at 'turn', which 'inner' no longer has" in failed.error.message
    async with app_for(named("turn"), **ways) as app:
        assert (await app.resume(run_id, accept_version=True)).output == {"report": "text"}


async def test_its_budget_is_its_own_and_what_it_spent_before_a_crash_counts():
    FAILS.update(left=1, at=1)
    async with app_for(outer(inner(budget=Budget(calls=2))), large=scripted("text")) as app:
        failed = await app.run("line", {})
        ended = await app.resume(failed.run_id)
        assert (ended.status, ended.calls) == (RunStatus.BUDGET_EXCEEDED, 2)


async def test_it_draws_from_the_budget_around_it():
    workflow = line(("sub", outer().nodes["sub"]), state=Outer, budget=Budget(calls=2))
    async with app_for(workflow, large=scripted("text")) as app:
        ended = await app.run("line", {})
        assert (ended.status, ended.calls) == (RunStatus.BUDGET_EXCEEDED, 2)


async def test_a_budget_in_usd_inside_refuses_a_model_without_a_price():
    async with app_for(outer(inner(budget=Budget(usd="1"))), large=Model(ScriptedModel(script=["text"]))) as app:
        with pytest.raises(ConfigurationError, match=r"the price of .* is not known"):
            await app.run("line", {})


class No(Guardrail):
    """Blocks a word."""

    word: str

    def check_text(self, text: str, item: GuardItem) -> Verdict:
        return Verdict(action=Action.BLOCK, reason=f"{self.word} at {item.stage}") if self.word in text else ALLOW


@pytest.mark.parametrize(
    ("guards", "reason"),
    [
        ({"guard_input": [No(word="ships")]}, "ships at run_input"),
        ({"guard_output": [No(word="text")]}, "text at run_output"),
    ],
)
async def test_its_guardrails_hold_inside_a_run(guards, reason):
    async with app_for(outer(inner(**guards)), large=scripted("text")) as app:
        blocked = await app.run("line", {})
        assert blocked.status is RunStatus.BLOCKED
        assert reason in blocked.error.message
        assert blocked.error.node == "sub"


def test_another_version_inside_is_another_version_outside():
    changed = outer(inner(description="another"))
    assert changed.version != outer().version
    assert Workflow.from_json(changed.to_json()).version == changed.version


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"input": {}}, "the workflow 'inner' needs the field 'topic': add it to input or constants"),
        ({"input": {"topik": "subject"}}, "the workflow 'inner' has no field 'topik'"),
        ({"into": {"turns": "number"}}, "the workflow 'inner' does not return 'turns': add it to its output"),
        ({"input": {"topic": "number"}}, "'topic' of 'inner' holds str, and 'number' holds int"),
        ({"into": {"text": "number"}}, "'sub' writes str into 'number', which holds int"),
        ({"input": {"topic": "nothing"}}, "'sub' reads 'nothing', which is not a field of Outer"),
    ],
)
def test_a_wrong_one_is_refused_with_a_sentence(fields, fault):
    with pytest.raises(DefinitionError) as caught:
        outer(**fields)
    assert fault in str(caught.value)


async def test_a_subflow_may_hold_another():
    middle = Workflow(
        name="middle",
        state=Inner,
        nodes={"in": Subflow(workflow=inner(), input={"topic": "topic"}, into={"text": "text"})},
        edges=[Chain(START, "in", END)],
        output=["text"],
    )
    async with app_for(outer(middle), large=scripted("text")) as app:
        result = (await app.run("line", {})).raise_for_status()
        names = [step.node_name for step in await app.ledger.steps(result.run_id)]
        assert names[:3] == ["sub", "sub/in", "sub/in/ask"]
        ((bound, _),) = app.worst_case(outer(middle))
        assert bound.node == "sub/middle/in/inner/ask"
