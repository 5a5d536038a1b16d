"""A recorded run again: for nothing and the same, or ending at the first thing that differs; or with a change."""

import asyncio
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage

from engine import (
    END,
    START,
    Agent,
    AgentTool,
    Approve,
    Budget,
    Cache,
    CallTool,
    Cascade,
    Chain,
    Conversation,
    DefinitionError,
    ForEach,
    Generate,
    InputError,
    Model,
    Parallel,
    Price,
    Retrieve,
    Retry,
    Subflow,
    Workflow,
)
from engine.definition.context_policy import History
from engine.definition.guardrail import Action
from engine.errors import BadRequest, Overloaded, RateLimited
from engine.replay.changes import Changes
from engine.testing import ScriptedModel, StillClock, asking_for
from tests.flows import app_for, ask, is_good, line, noting, open_ticket, scripted, search
from tests.unit.runtime.test_budget import Notes, Noting
from tests.unit.runtime.test_guards import Word

ONCE, TWICE = Retry(attempts=1), Retry(attempts=2, wait=0)
IDS = {"run_id", "step_id", "call_id", "parent_step_id", "question_id", "idempotency_key"}
TIMES = {"started_at", "ended_at", "duration_ns", "step_started_at", "claimed_at", "waited_ns", "created_at"}
COSTS = {"cost_nano_usd", "cost_source", "price_catalogue_id"}


def draft(**fields: Any) -> Generate:
    return Generate(**({"model": "large", "prompt": "{question}", "into": "answer", "max_tokens": 50} | fields))


def nobody() -> Model:
    """Give a model that must not be asked."""
    return scripted(AssertionError("a replay asked a model"))


async def rows(app: Any, run_id: str) -> list[dict[str, Any]]:
    """Give the ledger of a run without ids, times and what was paid."""
    found = [*await app.ledger.steps(run_id), *await app.ledger.calls(run_id), *await app.ledger.verdicts(run_id)]
    left_out = IDS | TIMES | COSTS | {"seq", "end_seq"}  # parallel ways are written in the order of their ends
    told = [{name: value for name, value in asdict(row).items() if name not in left_out} for row in found]
    return sorted(told, key=repr)


async def same(workflow: Workflow, given: dict[str, Any] | None = None, **models: Any) -> Any:
    """Run, replay with models that must not be asked, and give both once their ledgers have been compared."""
    async with app_for(workflow, **models) as app:
        result = await app.run(workflow.name, given or {"question": "How long do refunds take?"})
        for chat in (model.model for model in models.values()):
            chat.script[:] = [AssertionError("a replay asked a model")]
        replayed = await app.replay(result.run_id)
        failures = {step.error_type for step in await app.ledger.steps(result.run_id) if step.error_type}
        if len(failures) > 1 and result.error:  # which of several ways failed first is chance
            assert {result.error.type, replayed.result.error.type} <= failures
            assert {result.status, replayed.result.status} <= {"failed", "budget_exceeded"}  # the error says which
        else:
            assert replayed.difference is None
            assert replayed.result.status == result.status
        assert replayed.result.output == result.output
        assert replayed.live == 0
        both = [*await app.ledger.steps(result.run_id), *await app.ledger.steps(replayed.result.run_id)]
        was_cut = any(step.status == "cancelled" for step in both)
        if not was_cut and len(failures) < 2:  # where one way fails, chance says how far the others had come
            assert await rows(app, replayed.result.run_id) == await rows(app, result.run_id)
        return result, replayed


@pytest.mark.parametrize(
    ("node", "script"),
    [
        (draft(), ["fine"]),
        (draft(retry=TWICE), [Overloaded("busy"), "fine"]),
        (draft(retry=ONCE), [Overloaded("down")]),
        (draft(retry=ONCE, canned={"answer": "call us"}), [BadRequest("no")]),
        (draft(retry=TWICE), [RateLimited("later", retry_after=1), TimeoutError()]),
        (draft(guard_output=[Word(word="bad", action=Action.REASK)]), ["bad", "good"]),
        (draft(guard_output=[Word(word="bad", action=Action.BLOCK)]), ["bad"]),
        (draft(guard_output=[Word(word="bad", action=Action.MASK)]), ["a bad word"]),
        (draft(cache=Cache()), ["fine"]),
    ],
)
async def test_a_recorded_replay_ends_the_same_and_asks_nobody(node, script):
    await same(line(("draft", node)), large=scripted(*script))


async def test_a_whole_workflow_with_a_tool_that_acts_is_replayed_without_acting():
    result, replayed = await same(ask(), large=scripted("bad"))
    assert replayed.result.output["ticket"] == result.output["ticket"]
    assert (replayed.played, replayed.result.cost_usd) == (3, 0)


async def test_what_was_paid_once_is_not_counted_again():
    async with app_for(line(("draft", draft())), large=scripted("fine")) as app:
        result = await app.run("line", {"question": "q"})
        replayed = await app.replay(result.run_id)
        (call,) = await app.ledger.calls(replayed.result.run_id)
        record = await app.ledger.run(replayed.result.run_id)
    assert (call.cost_nano_usd, call.cost_source, call.charged_tokens) == (0, "recorded", 15)
    assert (record.origin, record.parent_run_id) == ("replay", result.run_id)


async def test_a_used_up_budget_is_used_up_again():
    workflow = line(("first", draft()), ("second", draft()), budget=Budget(calls=1))
    result, _ = await same(workflow, large=scripted("fine"))
    assert result.status == "budget_exceeded"


async def test_cascades_sub_workflows_and_lists_are_replayed():
    small_first = draft(model=Cascade(roles=["small", "large"], check=[is_good]))
    inner = line(("draft", small_first), name="inner")
    await same(
        line(("sub", Subflow(workflow=inner, input={"question": "question"}, into={"answer": "answer"}))),
        small=scripted("no"),
        large=scripted("good"),
    )
    each = ForEach(over="notes", item="one", node=draft(prompt="{one}", into="said"), into="notes")
    await same(line(("note", noting()), ("each", each)), large=scripted("fine"))


async def test_what_a_person_said_is_played_again():
    approve = Approve(text="May this be sent?", shows=["question"], into="ready")
    async with app_for(line(("approve", approve), ("draft", draft())), large=scripted("sent")) as app:
        waiting = await app.run("line", {"question": "q"})
        (question,) = await app.questions(waiting.run_id)
        assert (await app.replay(waiting.run_id)).result.status == "waiting"
        await app.answer(waiting.run_id, question=question.question_id)
        result = await app.resume(waiting.run_id)
        replayed = await app.replay(waiting.run_id)
    assert (replayed.result.status, replayed.result.output) == (result.status, result.output)


async def test_a_run_that_was_resumed_is_replayed_as_it_ended():
    async with app_for(line(("draft", draft(retry=ONCE))), large=scripted(Overloaded("down"), "fine")) as app:
        failed = await app.run("line", {"question": "q"})
        await app.resume(failed.run_id)
        replayed = await app.replay(failed.run_id)
    assert (replayed.difference, replayed.result.output["answer"]) == (None, "fine")


async def test_a_cached_answer_and_a_conversation_are_as_they_were():
    model, clock = ScriptedModel(script=["one", "two", "three"]), StillClock()
    workflow = line(
        ("draft", draft(history=History(), cache=Cache())), conversation=Conversation(says="question", answers="answer")
    )
    async with app_for(workflow, clock=clock, large=Model(model, price=Price(input="1", output="1"))) as app:
        first = await app.run("line", {"question": "a"}, conversation_id="c")
        cached = await app.run("line", {"question": "a"}, tenant=None)
        clock.advance(5)
        await app.run("line", {"question": "b"}, conversation_id="c")
        for run in (first, cached):
            assert (await app.replay(run.run_id)).difference is None
    assert len(model.asked) <= 3


async def test_the_first_difference_is_named_and_nobody_is_asked():
    async with app_for(line(("draft", draft())), large=scripted("fine")) as app:
        result = await app.run("line", {"question": "q"})
        app.workflows["line"] = line(("draft", draft(prompt="Answer: {question}")))
        replayed = await app.replay(result.run_id)
    assert replayed.result.error.type == "Diverged"
    said = "diverges at 'draft' (visit 1, request 1): messages[0].content was 'q' and is 'Answer: q'"
    assert said in replayed.difference
    assert replayed.live == 0


async def test_a_change_goes_live_only_where_it_reaches():
    nodes = (("find", Retrieve(retriever=search, query="question", into="passages")), ("draft", draft()))
    async with app_for(line(*nodes), large=scripted("one", "two")) as app:
        result = await app.run("line", {"question": "q"})
        changed = Changes.of(["prompt.draft=Better: {question}"]).applied_to(app.workflow("line"))
        replayed = await app.replay(result.run_id, recorded=False, workflow=changed)
    assert (replayed.played, replayed.live, replayed.result.output["answer"]) == (1, 1, "two")
    assert replayed.difference == "answer was 'one' and is 'two'"


async def test_from_a_node_on_everything_is_asked_anew():
    async with app_for(line(("first", draft()), ("second", draft())), large=scripted("a", "b", "c")) as app:
        result = await app.run("line", {"question": "q"})
        replayed = await app.replay(result.run_id, since="second")
        assert (replayed.played, replayed.live, replayed.result.output["answer"]) == (1, 1, "c")
        with pytest.raises(InputError, match="never came to 'third'"):
            await app.replay(result.run_id, since="third")


async def test_another_model_of_a_role_is_asked(tmp_path):
    database, clock = f"sqlite:///{tmp_path}/runs.db", StillClock()
    async with app_for(line(("draft", draft())), database=database, clock=clock, large=scripted("one")) as app:
        result = await app.run("line", {"question": "q"})
    other = Model(ScriptedModel(script=["other"], model_name="other"), price=Price(input="1", output="1"))
    async with app_for(line(("draft", draft())), database=database, clock=clock, large=other) as app:
        recorded = await app.replay(result.run_id)
        live = await app.replay(result.run_id, recorded=False)
    assert "it went to engine:scripted, and would go to engine:other" in recorded.difference
    assert live.result.output["answer"] == "other"


@pytest.mark.parametrize(
    ("options", "opens", "ticket"),
    [({}, 1, "as before"), ({"stubs": {"open_ticket": "T-0"}}, 1, "T-0"), ({"live_effects": True}, 2, "another")],
)
async def test_what_acts_once_is_done_in_a_replay_only_where_that_is_said(options, opens, ticket):
    tool = CallTool(tool=open_ticket, args={"question": "answer"}, into="ticket", effect="once")
    async with app_for(line(("draft", draft()), ("open", tool)), large=scripted("a", "b")) as app:
        result = await app.run("line", {"question": "q"})
        replayed = await app.replay(result.run_id, since="draft", **options)
        calls = [*await app.ledger.calls(result.run_id), *replayed.calls]
    assert sum(call.tool_name == "open_ticket" and call.cost_source != "recorded" for call in calls) == opens
    said, before = replayed.result.output["ticket"], result.output["ticket"]
    assert ("as before" if said == before else said if said == "T-0" else "another") == ticket


async def test_an_action_that_nobody_knows_an_answer_of_ends_the_replay():
    tool = CallTool(tool=open_ticket, args={"question": "answer"}, into="ticket", effect="once")
    first = draft(retry=Retry(attempts=1))
    async with app_for(line(("draft", first), ("open", tool)), large=scripted(BadRequest("no"), "b")) as app:
        result = await app.run("line", {"question": "q"})
        replayed = await app.replay(result.run_id, since="draft")
    assert replayed.result.status == "failed"
    assert "acts once; --live-effects lets it, and `--set stub.TOOL=JSON` says" in str(replayed.result.error)


async def test_a_replay_may_cost_no_more_than_is_said():
    async with app_for(line(("draft", draft())), large=scripted("one")) as app:
        result = await app.run("line", {"question": "q"})
        replayed = await app.replay(result.run_id, since="draft", budget=Budget(usd="0.000001"))
    assert replayed.result.status == "budget_exceeded"


@pytest.mark.parametrize("setting", ["model.large", "a=b", "node.draft=1", "prompt.draft", "prompt.draft=@/nowhere"])
def test_a_setting_that_says_nothing_is_refused(setting):
    with pytest.raises(InputError, match="--set"):
        Changes.of([setting])


def test_a_prompt_that_begins_with_an_at_sign_stays_one_when_its_setting_is_read_again(tmp_path):
    (tmp_path / "prompt.md").write_text("@all: {question}", encoding="utf-8")
    for setting in (f"prompt.draft=@{tmp_path / 'prompt.md'}", "prompt.draft=@@all: {question}"):
        changes = Changes.of([setting])
        assert "@all: {question}" in changes.places.values()
        assert Changes.of(changes.settings) == changes


def test_a_setting_for_what_is_not_there_is_refused_by_name():
    workflow = line(("draft", draft()))
    with pytest.raises(InputError, match="names the node 'other'; those of 'line' are draft"):
        Changes.of(["node.other.max_tokens=5"]).applied_to(workflow)
    with pytest.raises(DefinitionError, match="max_tokens"):
        Changes.of(["node.draft.max_tokens=many"]).applied_to(workflow)


class NotingTwice(Noting):
    """Asks the model twice and appends what it says, with chance and time."""

    async def run(self, inputs, ctx):
        said = []
        for number in range(2):
            reply = await ctx.generate(
                "large", [HumanMessage(f"{ctx.node} {number} {ctx.random():.3f}")], max_tokens=40
            )
            said.append(f"{reply.text} {ctx.now()}")
        return {"texts": said}


SAID = st.sampled_from(["fine", "good", TimeoutError(), Overloaded("busy"), BadRequest("no"), ConnectionError("cut")])


@settings(max_examples=40, deadline=None)
@given(
    script=st.lists(SAID, min_size=1, max_size=14),
    width=st.integers(2, 4),
    attempts=st.integers(1, 3),
    falls=st.booleans(),
    calls=st.integers(2, 20),
)
def test_any_run_of_parallel_ways_with_failures_is_replayed_as_it_was(script, width, attempts, falls, calls):
    ways = [f"way{number}" for number in range(width)]
    fields = {"retry": Retry(attempts=attempts, wait=0), "canned": {"texts": ["-"]} if falls else None}
    workflow = Workflow(
        name="fan",
        state=Notes,
        nodes={name: NotingTwice(**fields) for name in ("fork", *ways, "join")},
        edges=[Chain(START, "fork"), Parallel("fork", to=ways, join="join"), Chain("join", END)],
        budget=Budget(calls=calls),
    )
    asyncio.run(same(workflow, {"question": "q"}, large=scripted(*script)))


def look_up(query: str) -> str:
    """Look a word up."""
    return f"about {query}"


KINDS = {
    "draft": draft(retry=TWICE),
    "agent": Agent(
        model="large", prompt="{question}", tools=[AgentTool(tool=look_up, effect="read")], into="answer", max_tokens=50
    ),
    "each": ForEach(over="notes", item="one", node=draft(prompt="{one}", into="said", retry=ONCE), into="notes"),
    "approve": Approve(text="May this be?", shows=["answer"], into="ready"),
    "note": noting(),
    "act": CallTool(tool=open_ticket, args={"question": "question"}, into="ticket"),
}
SAYS = st.one_of(SAID, st.just(asking_for(("look_up", {"query": "refunds"}))))


@settings(max_examples=20, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=5),
    script=st.lists(SAYS, min_size=1, max_size=10),
    yes=st.booleans(),
    calls=st.integers(2, 20),
)
def test_any_run_of_agents_maps_actions_and_approvals_is_replayed_as_it_was(kinds, script, yes, calls):
    nodes = [(f"{kind}{number}", KINDS[kind]) for number, kind in enumerate(["note", *kinds])]
    workflow = line(*nodes, budget=Budget(calls=calls))

    async def run() -> None:
        async with app_for(workflow, large=scripted(*script)) as app:
            result = await app.run("line", {"question": "q"})
            while result.status == "waiting":
                (question,) = await app.questions(result.run_id)
                await app.answer(result.run_id, question=question.question_id, refuse=not yes)
                result = await app.resume(result.run_id)
            replayed = await app.replay(result.run_id)
            assert replayed.live == 0
            if any(call.status == "cancelled" for call in await app.ledger.calls(result.run_id)):
                return  # nobody knows how what was cut would have ended
            assert replayed.difference is None
            assert replayed.result.output == result.output

    asyncio.run(run())
