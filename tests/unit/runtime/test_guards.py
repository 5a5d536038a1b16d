"""Guardrails at every stage: what they see, what is done, and that nothing leads around them."""

import pytest

from engine.definition.edges import END, START, Chain
from engine.definition.guardrail import ALLOW, Action, GuardItem, Guardrail, Span, Stage, Verdict, carry_out
from engine.definition.workflow import Workflow
from engine.nodes.call_tool import CallTool
from engine.nodes.generate import Generate
from engine.nodes.retrieve import Retrieve
from engine.records import RunStatus
from engine.testing import ScriptedModel
from tests.flows import Ask, app_for, ask, line, noting, open_ticket, scripted, search


class Word(Guardrail):
    """Does something about every text that holds a word."""

    word: str
    action: Action = Action.MASK

    def check_text(self, text: str, item: GuardItem) -> Verdict:
        at = text.find(self.word)
        if at < 0:
            return ALLOW
        span = Span(start=at, end=at + len(self.word), label="WORD")
        return Verdict(action=self.action, reason=f"a word at {item.stage}", score=1.0, spans=(span,), value="better")


def draft(**fields):
    return Generate(model="large", prompt="{question}", into="answer", max_tokens=50, **fields)


async def test_the_input_of_a_run_is_masked_before_anything_sees_it():
    model = ScriptedModel(script=["fine"])
    async with app_for(line(("draft", draft()), guard_input=[Word(word="secret")]), large=model) as app:
        result = await app.run("line", {"question": "my secret is out"})
        assert model.asked[0][0].content == "my [WORD] is out"
        run = await app.ledger.run(result.run_id)
        assert "secret" not in str(await app.ledger.value(run.input_payload))
        (verdict,) = await app.ledger.verdicts(result.run_id)
        assert (verdict.guardrail, verdict.stage, verdict.action, verdict.path) == (
            "word",
            "run_input",
            "mask",
            "question",
        )


async def test_a_blocked_input_ends_the_run_before_a_call_is_made():
    model = ScriptedModel(script=["fine"])
    guarded = line(("draft", draft()), guard_input=[Word(word="secret", action=Action.BLOCK)])
    async with app_for(guarded, large=model) as app:
        result = await app.run("line", {"question": "secret"})
        assert result.status is RunStatus.BLOCKED
        assert result.error.message == "the guardrail 'word' says: a word at run_input"
        assert result.error.exit_code == 1
        assert model.asked == []


async def test_a_blocked_node_never_falls_back():
    workflow = Workflow(
        name="around",
        state=Ask,
        nodes={
            "draft": draft(guard_input=[Word(word="secret", action=Action.BLOCK)], fallback="other"),
            "other": noting(),
        },
        edges=[Chain(START, "draft", END), Chain("other", END)],
    )
    async with app_for(workflow, large=scripted("fine")) as app:
        assert (await app.run("around", {"question": "secret"})).status is RunStatus.BLOCKED


async def test_a_passage_with_a_bad_text_is_dropped_whole():
    find = Retrieve(
        retriever=search,
        query="question",
        into="passages",
        guard_output=[Word(word="five", action=Action.DROP)],
    )
    async with app_for(line(("find", find))) as app:
        result = await app.run("line", {"question": "refunds orders"})
        assert [passage["text"] for passage in result.output["passages"]] == ["Orders ship on Mondays."]
        (verdict,) = await app.ledger.verdicts(result.run_id)
        assert (verdict.stage, verdict.path) == ("passages", "passages[0].text")


SEEN: list[GuardItem] = []


class Watch(Guardrail):
    async def check(self, item):
        SEEN.append(item)
        return []


async def test_the_arguments_of_a_tool_are_guarded_and_name_the_tool():
    SEEN.clear()
    tool = CallTool(tool=open_ticket, args={"question": "question"}, into="ticket")
    watched = tool.model_copy(update={"guard_input": (Watch(),), "guard_output": (Watch(),)})
    async with app_for(ask(), large=scripted("bad")) as app:
        workflow = app.workflows["ask"]
        watched_workflow = workflow.model_copy(update={"nodes": {**workflow.nodes, "ticket": watched}})
        watched_workflow.__dict__["version"] = "a" * 64
        app.workflows["ask"] = watched_workflow
        await app.run("ask", {"question": "q"})
    assert [(item.stage, item.tool) for item in SEEN] == [
        (Stage.TOOL_ARGUMENTS, "open_ticket"),
        (Stage.TOOL_OUTPUT, "open_ticket"),
    ]
    assert SEEN[0].value == {"question": "q"}


async def test_a_rejected_answer_is_asked_for_again_with_the_reason():
    model = ScriptedModel(script=["a secret", "fine"])
    node = draft(guard_output=[Word(word="secret", action=Action.REASK)])
    async with app_for(line(("draft", node)), large=model) as app:
        result = await app.run("line", {"question": "q"})
        assert result.output["answer"] == "fine"
        assert "was turned down: the guardrail 'word' says: a word at model_output" in model.asked[1][-1].content
        assert result.steps == 1
        assert result.calls == 2


async def test_asking_again_ends_at_its_bound():
    node = draft(guard_output=[Word(word="secret", action=Action.REASK)], reasks=2)
    async with app_for(line(("draft", node)), large=scripted("secret")) as app:
        result = await app.run("line", {"question": "q"})
        assert result.status is RunStatus.FAILED
        assert "the node 'draft' was answered 3 times and turned down each time" in result.error.message


async def test_a_guardrail_that_asks_for_a_person_makes_the_run_wait_for_one():
    node = draft(guard_output=[Word(word="secret", action=Action.REQUIRE_APPROVAL)])
    async with app_for(line(("draft", node)), large=scripted("secret")) as app:
        assert (await app.run("line", {"question": "q"})).status is RunStatus.WAITING


async def test_where_no_step_could_wait_a_guardrail_that_asks_for_a_person_stops_the_run():
    guarded = line(("draft", draft()), guard_output=[Word(word="secret", action=Action.REQUIRE_APPROVAL)])
    async with app_for(guarded, large=scripted("secret")) as app:
        result = await app.run("line", {"question": "q"})
        assert (result.status, result.error.type) == (RunStatus.NEEDS_REVIEW, "ApprovalRequired")


async def test_what_a_run_returns_is_guarded_last():
    async with app_for(line(("draft", draft()), guard_output=[Word(word="secret")]), large=scripted("a secret")) as app:
        heard = []
        result = await app.run("line", {"question": "q"}, listener=heard.append)
        assert result.output["answer"] == "a [WORD]"
        assert "".join(event.text for event in heard if type(event).__name__ == "TextDelta") == "a [WORD]"


@pytest.mark.parametrize(
    ("action", "left"),
    [
        (Action.FLAG, {"a": ["a word", "fine"]}),
        (Action.MASK, {"a": ["a [WORD]", "fine"]}),
        (Action.REDACT, {"a": ["a ", "fine"]}),
        (Action.FIX, {"a": ["better", "fine"]}),
        (Action.DROP, {"a": ["fine"]}),
    ],
)
async def test_verdicts_are_carried_out_where_they_belong(action, left):
    value = {"a": ["a word", "fine"]}
    verdicts = dict(await Word(word="word", action=action).check(GuardItem(stage=Stage.CHECK, value=value)))
    assert list(verdicts) == ["a[0]"]
    assert carry_out(value, verdicts) == left


def test_dropping_takes_the_nearest_list_item_only():
    value = {"groups": [{"items": [{"text": "x"}, {"text": "y"}]}]}
    drop = {"groups[0].items[1].text": Verdict(action=Action.DROP)}
    assert carry_out(value, drop) == {"groups": [{"items": [{"text": "x"}]}]}
    assert carry_out({"text": "x"}, {"text": Verdict(action=Action.DROP)}) == {"text": ""}


def test_a_guardrail_is_called_by_the_name_of_its_class():
    assert Word(word="x").name == "word"
