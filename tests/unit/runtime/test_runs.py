"""A run from its input to its end: the way it takes, what it returns and what the ledger says of it."""

import asyncio
from typing import Any

import pytest

from engine.definition.edges import END, START, Branch, Chain, Parallel
from engine.definition.policies import Budget
from engine.definition.state import State
from engine.definition.workflow import Workflow
from engine.errors import ConfigurationError, InputError, RunError
from engine.nodes.call_tool import CallTool
from engine.nodes.compute import Compute
from engine.records import RunStatus
from tests.flows import Ask, app_for, ask, count_up, line, noting, open_ticket, scripted


async def nodes_of(app, run_id: str) -> list[str]:
    return [step.node_name for step in await app.ledger.steps(run_id)]


async def test_a_run_takes_the_way_that_the_answer_decides():
    async with app_for(ask(), large=scripted("good: five days")) as app:
        result = await app.run("ask", {"question": "How long do refunds take?"})
        assert result.status is RunStatus.SUCCEEDED
        assert result.output["answer"] == "good: five days"
        assert result.output["verdict"] == "good"
        assert await nodes_of(app, result.run_id) == ["find", "draft", "check"]


async def test_the_other_way_opens_a_ticket():
    async with app_for(ask(), large=scripted("bad")) as app:
        result = await app.run("ask", {"question": "How long do refunds take?"})
        assert result.output["ticket"].startswith("T-")
        assert await nodes_of(app, result.run_id) == ["find", "draft", "check", "ticket"]


async def test_the_ledger_keeps_the_run_its_steps_and_its_calls():
    async with app_for(ask(), large=scripted("good")) as app:
        result = await app.run("ask", {"question": "How long do refunds take?"}, tenant="acme", user="u1")
        run = await app.ledger.run(result.run_id)
        assert (run.status, run.tenant, run.user_id, run.steps, run.calls) == ("succeeded", "acme", "u1", 3, 2)
        assert (run.usage_input_tokens, run.usage_output_tokens, run.cost_nano_usd) == (10, 5, 15_000)
        retrieval, chat = await app.ledger.calls(result.run_id)
        assert (retrieval.operation_name, retrieval.tool_name) == ("retrieval", "tests.flows:search")
        assert (chat.operation_name, chat.target, chat.request_model) == ("chat", "large", "scripted")
        assert (chat.usage_input_tokens, chat.cost_nano_usd, chat.finish_reason) == (10, 15_000, "stop")


async def test_parallel_ways_of_unequal_length_meet_once():
    workflow = Workflow(
        name="both",
        state=Ask,
        nodes={name: noting() for name in ("plan", "one", "two", "more", "join")},
        edges=[
            Chain(START, "plan"),
            Parallel("plan", to=["one", "two"], join="join"),
            Chain("two", "more"),
            Chain("join", END),
        ],
    )
    async with app_for(workflow) as app:
        result = await app.run("both", {"question": "q"})
        visited = await nodes_of(app, result.run_id)
        assert visited[0], visited[-1] == ("plan", "join")
        assert sorted(visited) == ["join", "more", "one", "plan", "two"]
        assert result.output["notes"] == ["q"] * 5


async def test_forks_inside_forks_join_inside_out():
    names = ("a", "b", "c", "d", "e", "inner", "outer")
    workflow = Workflow(
        name="nested",
        state=Ask,
        nodes={name: noting() for name in names},
        edges=[
            Chain(START, "a"),
            Parallel("a", to=["b", "c"], join="outer"),
            Parallel("b", to=["d", "e"], join="inner"),
            Chain("outer", END),
        ],
    )
    async with app_for(workflow) as app:
        result = await app.run("nested", {"question": "q"})
        visited = await nodes_of(app, result.run_id)
        assert sorted(visited) == sorted(names)
        assert visited[-2:] == ["inner", "outer"]


async def test_a_workflow_may_begin_with_a_fork_or_a_branch():
    forked = Workflow(
        name="forked",
        state=Ask,
        nodes={name: noting() for name in ("a", "b", "join")},
        edges=[Parallel(START, to=["a", "b"], join="join"), Chain("join", END)],
    )
    branched = Workflow(
        name="branched",
        state=Ask,
        nodes={"a": noting(), "b": noting()},
        edges=[Branch(START, on="route", to={"left": "a", "right": "b"}), Chain("a", END), Chain("b", END)],
    )
    async with app_for(forked, branched) as app:
        assert sorted(await nodes_of(app, (await app.run("forked", {"question": "q"})).run_id)) == ["a", "b", "join"]
        run = await app.run("branched", {"question": "q", "route": "left"})
        assert await nodes_of(app, run.run_id) == ["a"]


def loop(bound: int, **fields: Any) -> Workflow:
    return Workflow(
        name="loop",
        state=Ask,
        nodes={"turn": Compute(function=count_up, into="count", max_visits=bound, **fields), "rest": noting()},
        edges=[Chain(START, "turn"), Branch("turn", on="route", to={"left": "turn", "right": END}), Chain("rest", END)]
        if fields
        else [
            Chain(START, "turn"),
            Branch("turn", on="route", to={"left": "turn", "right": "rest"}),
            Chain("rest", END),
        ],
    )


async def test_a_loop_ends_at_its_bound_and_says_so():
    async with app_for(loop(3)) as app:
        result = await app.run("loop", {"question": "q", "route": "left"})
        assert result.status is RunStatus.FAILED
        assert result.error.message == "the node 'turn' may be visited 3 times (max_visits) and was needed again"
        steps = await app.ledger.steps(result.run_id)
        assert [(step.visit, step.status) for step in steps] == [(1, "ok"), (2, "ok"), (3, "ok"), (4, "failed")]


async def test_a_loop_at_its_bound_may_fall_back():
    async with app_for(loop(2, fallback="rest")) as app:
        result = await app.run("loop", {"question": "q", "route": "left"})
        assert result.status is RunStatus.SUCCEEDED
        assert await nodes_of(app, result.run_id) == ["turn", "turn", "turn", "rest"]


def explode(question: str) -> list[str]:
    raise KeyError(question)


async def test_a_node_that_raises_ends_the_run_with_its_cause():
    async with app_for(line(("fine", noting()), ("boom", Compute(function=explode, into="notes")))) as app:
        result = await app.run("line", {"question": "q"})
        assert result.status is RunStatus.FAILED
        assert (result.error.type, result.error.node) == ("NodeFailed", "boom")
        assert "the node 'boom' raised KeyError: 'q'" in result.error.message
        run = await app.ledger.run(result.run_id)
        assert (run.status, run.error_node, run.error_type) == ("failed", "boom", "NodeFailed")
        with pytest.raises(RunError, match="boom"):
            result.raise_for_status()


async def test_a_failed_node_hands_over_to_its_fallback():
    workflow = Workflow(
        name="safe",
        state=Ask,
        nodes={
            "boom": Compute(function=explode, into="notes", fallback="rescue"),
            "rescue": noting(),
            "after": noting(),
        },
        edges=[Chain(START, "boom", "after", END), Chain("rescue", END)],
    )
    async with app_for(workflow) as app:
        result = await app.run("safe", {"question": "q"})
        assert result.status is RunStatus.SUCCEEDED
        first, second = await app.ledger.steps(result.run_id)
        assert (first.node_name, first.status, first.fallback_to, first.error_type) == (
            "boom",
            "failed",
            "rescue",
            "NodeFailed",
        )
        assert second.node_name == "rescue"


class Open(State):
    question: str
    number: int = 0
    anything: Any = None


def wrong_type(question: str) -> Any:
    return "many"


async def test_an_update_that_does_not_fit_its_field_fails_the_step():
    workflow = line(("count", Compute(function=wrong_type, into="number")), state=Open)
    async with app_for(workflow) as app:
        result = await app.run("line", {"question": "q"})
        assert result.error.type == "UpdateInvalid"
        assert "the field 'number' cannot hold this" in result.error.message


def returns_an_object(question: str) -> Any:
    return object()


def returns_not_a_number(question: str) -> Any:
    return float("nan")


async def hangs(question: str) -> str:
    await asyncio.Event().wait()
    return question


def raises(question: str) -> str:
    raise RuntimeError("no disk")


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        (returns_an_object, "the tool 'returns_an_object' returned what JSON cannot hold (object)"),
        (returns_not_a_number, "returned what JSON cannot hold (float)"),
        (raises, "the tool 'raises' raised RuntimeError: no disk"),
        (hangs, "the tool 'hangs' did not answer within 0.01 seconds"),
    ],
)
async def test_a_tool_that_misbehaves_fails_the_step_with_a_sentence(tool, said):
    node = CallTool(
        tool=tool,
        args={"question": "question"},
        into="anything",
        effect="idempotent",
        call_seconds=0.01 if tool is hangs else 60,
        retry={"attempts": 1},
    )
    async with app_for(line(("tool", node), state=Open)) as app:
        result = await app.run("line", {"question": "q"})
        assert result.status is RunStatus.FAILED
        assert said in result.error.message
        (call,) = await app.ledger.calls(result.run_id)
        assert (call.status, call.error_message) == ("failed", result.error.message)


async def test_a_step_that_takes_too_long_ends():
    node = CallTool(tool=hangs, args={"question": "question"}, into="anything", seconds=0.25)
    async with app_for(line(("tool", node), state=Open)) as app:
        result = await app.run("line", {"question": "q"})
        assert result.error.type == "StepTimeout"
        (call,) = await app.ledger.calls(result.run_id)
        assert call.status == "unknown", "nobody knows what a tool that was cut off has done"


async def test_a_run_that_takes_too_long_has_used_up_its_budget():
    node = CallTool(tool=hangs, args={"question": "question"}, into="anything")
    async with app_for(line(("tool", node), state=Open, budget=Budget(seconds=0.01))) as app:
        result = await app.run("line", {"question": "q"})
        assert result.status is RunStatus.BUDGET_EXCEEDED
        assert "took longer than the 0.01 seconds of its budget" in result.error.message


async def test_a_cancelled_run_is_recorded_as_cancelled():
    node = CallTool(tool=hangs, args={"question": "question"}, into="anything")
    async with app_for(line(("tool", node), state=Open)) as app:
        started = asyncio.Event()

        def begun(event: Any) -> None:
            if type(event).__name__ == "StepStarted":
                started.set()

        running = asyncio.create_task(app.run("line", {"question": "q"}, listener=begun))
        await started.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        (run,) = await app.ledger.runs()
        assert run.status == "cancelled"
        assert [step.status for step in await app.ledger.steps(run.run_id)] == ["cancelled"]


async def test_an_idempotency_key_is_made_of_the_run_and_the_action():
    twice = {"first": CallTool(tool=open_ticket, args={"question": "question"}, into="ticket")}
    twice["second"] = twice["first"]
    async with app_for(line(*twice.items())) as app:
        one = await app.run("line", {"question": "q"})
        other = await app.run("line", {"question": "q"})
        first, second = await app.ledger.calls(one.run_id)
        assert first.idempotency_key == second.idempotency_key
        assert one.output["ticket"] != other.output["ticket"]


async def test_wrong_input_and_unknown_names_are_refused_before_a_run_begins():
    async with app_for(ask(), large=scripted("good")) as app:
        with pytest.raises(InputError, match="question: field required"):
            await app.run("ask", {})
        with pytest.raises(ConfigurationError, match="there is no workflow 'aks'; the workflows of this app are: ask"):
            await app.run("aks", {})
        assert await app.ledger.runs() == []


async def test_a_role_that_no_model_plays_is_refused_before_a_run_begins():
    async with app_for(ask()) as app:
        with pytest.raises(ConfigurationError, match=r"no model plays the role 'large'.*FLOWLEDGER_MODEL_LARGE"):
            await app.run("ask", {"question": "q"})


async def test_a_listener_hears_steps_and_text():
    heard: list[Any] = []
    async with app_for(ask(), large=scripted("good and short")) as app:
        await app.run("ask", {"question": "q"}, listener=heard.append)
    names = [type(event).__name__ for event in heard]
    assert names.count("TextDelta") == 3
    assert "".join(event.text for event in heard if type(event).__name__ == "TextDelta") == "good and short"
    assert (names[0], names[1], names[-1]) == ("RunStarted", "StepStarted", "RunFinished")


def test_a_run_without_an_event_loop_is_one_call():
    result = app_for(ask(), large=scripted("good")).run_sync("ask", {"question": "q"})
    assert result.to_json()["status"] == "succeeded"


async def test_many_runs_side_by_side_share_one_ledger():
    async with app_for(ask(), large=scripted("good")) as app:
        results = await asyncio.gather(*(app.run("ask", {"question": f"q{n}"}) for n in range(20)))
        assert {result.status for result in results} == {RunStatus.SUCCEEDED}
        assert len(await app.ledger.runs(limit=50)) == 20
