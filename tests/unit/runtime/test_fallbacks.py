"""What takes over when a node fails: another node for some kinds of errors, a backup tool, a canned answer."""

import pytest

from engine import END, START, Budget, CallTool, Chain, DefinitionError, Generate, Retry, Workflow
from engine.definition.guardrail import Action
from engine.errors import KINDS
from tests.flows import Ask, app_for, line, noting, open_ticket, scripted
from tests.unit.runtime.test_guards import Word
from tests.unit.runtime.test_retry import status

ONCE = Retry(attempts=1)


def draft(**fields: object) -> Generate:
    return Generate(model="large", prompt="{question}", into="answer", max_tokens=50, retry=ONCE, **fields)


def falling_back(*on: str) -> Workflow:
    return Workflow(
        name="line",
        state=Ask,
        nodes={"draft": draft(fallback="note", fallback_on=on), "note": noting()},
        edges=[Chain(START, "draft", END), Chain("note", END)],
    )


@pytest.mark.parametrize(("code", "taken"), [(429, True), (503, True), (401, False), (400, False)])
async def test_a_node_takes_over_from_the_kinds_of_errors_that_are_named(code, taken):
    app = app_for(falling_back("rate_limited", "overloaded"), large=scripted(status(code)))
    async with app:
        result = await app.run("line", {"question": "q"})
        assert (result.status == "succeeded") is taken
        steps = await app.ledger.steps(result.run_id)
        assert [step.node_name for step in steps] == ["draft", "note"][: 1 + taken]
        assert steps[0].error_type is not None


async def test_without_kinds_it_takes_over_from_all_that_allow_it():
    async with app_for(falling_back(), large=scripted(status(401))) as app:
        assert (await app.run("line", {"question": "q"})).status == "succeeded"


async def test_a_canned_answer_is_the_last_resort_and_says_so_in_the_ledger():
    workflow = line(("draft", draft(canned={"answer": "Please call us."})))
    async with app_for(workflow, large=scripted(status(503))) as app:
        result = await app.run("line", {"question": "q"})
        assert (result.status, result.output["answer"]) == ("succeeded", "Please call us.")
        (step,) = await app.ledger.steps(result.run_id)
        assert (step.status, step.degraded, step.error_type) == ("ok", "canned", "Overloaded")


async def test_a_canned_answer_stands_in_where_the_budget_is_used_up():
    workflow = line(("draft", draft(canned={"answer": "Please call us."})), budget=Budget(tokens=10))
    async with app_for(workflow, large=scripted("fine")) as app:
        result = await app.run("line", {"question": "q"})
        assert (result.status, result.output["answer"], result.calls) == ("succeeded", "Please call us.", 0)
        (step,) = await app.ledger.steps(result.run_id)
        assert (step.degraded, step.error_type) == ("canned", "BudgetExceeded")


async def test_nothing_leads_around_a_guardrail():
    guarded = draft(canned={"answer": "Please call us."}, guard_output=[Word(word="fine", action=Action.BLOCK)])
    async with app_for(line(("draft", guarded)), large=scripted("fine")) as app:
        assert (await app.run("line", {"question": "q"})).status == "blocked"


async def test_a_guardrail_that_wants_another_answer_and_gets_none_lets_a_fallback_take_over():
    workflow = falling_back("answer_rejected")
    asking = workflow.nodes["draft"].model_copy(
        update={"guard_output": (Word(word="fine", action=Action.REASK),), "reasks": 1}
    )
    workflow = Workflow(name="line", state=Ask, nodes={**workflow.nodes, "draft": asking}, edges=workflow.edges)
    async with app_for(workflow, large=scripted("fine")) as app:
        result = await app.run("line", {"question": "q"})
        assert (result.status, result.calls) == ("succeeded", 2)


def broken(question: str) -> str:
    """Fail."""
    raise ValueError("broken")


def mended(question: str) -> str:
    """Answer."""
    return f"mended {question}"


async def test_a_backup_tool_is_called_when_the_first_has_failed():
    node = CallTool(tool=broken, backup=mended, effect="read", args={"question": "question"}, into="ticket")
    async with app_for(line(("tool", node))) as app:
        result = await app.run("line", {"question": "q"})
        assert result.output["ticket"] == "mended q"
        calls = await app.ledger.calls(result.run_id)
        assert [(call.tool_name, call.status) for call in calls] == [("broken", "failed"), ("mended", "ok")]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"fallback_on": ["overloaded"]}, "'draft' says fallback_on and has no fallback"),
        ({"fallback": "draft", "fallback_on": ["tired"]}, "'tired', which is no kind of error; the kinds are 'answer"),
        ({"canned": {"ticket": "T"}}, "the canned answer of 'draft' has 'ticket', which is not among the fields"),
        ({"canned": {"answer": 7}}, "the canned answer of 'draft' does not fit: the field 'answer' cannot hold this"),
    ],
)
def test_what_cannot_take_over_is_refused_when_it_is_built(fields, said):
    with pytest.raises(DefinitionError) as refused:
        line(("draft", draft(**fields)))
    assert said in str(refused.value)


def test_a_backup_tool_takes_the_same_arguments():
    with pytest.raises(DefinitionError, match="its backup 'other' does not have the parameters of 'open_ticket'"):
        line(("tool", CallTool(tool=open_ticket, backup=other, args={"question": "question"}, into="ticket")))


def other(subject: str) -> str:
    """Take something else."""
    return subject


def test_the_kinds_are_words_that_say_what_went_wrong():
    assert {"rate_limited", "context_too_long", "content_filter", "tool_error", "breaker_open"} <= set(KINDS)
    assert "" not in KINDS


def test_fallbacks_keep_the_version_of_a_workflow_through_json():
    workflow = falling_back("rate_limited")
    assert Workflow.from_json(workflow.to_json()).version == workflow.version
