"""CallRunnable: graphs and runnables of others as nodes, their models on the run's account."""

import pytest

from engine.app import App
from engine.definition.policies import Budget, Retry
from engine.errors import DefinitionError
from engine.nodes.call_runnable import CallRunnable
from engine.records import RunStatus
from engine.runtime.rate_limit import RateLimit
from engine.testing import StillClock
from engine.usage import Price
from tests import graphs
from tests.flows import QUESTION, app_for, line

PRICES = {"scripted": Price(input="1", output="1")}


@pytest.fixture(autouse=True)
def fresh():
    graphs.sent.clear()
    for model in (graphs.model, graphs.silent, graphs.failing):
        model.asked.clear()


def calling(name="graph", **fields):
    fields = {"input": {"question": "question"}, "into": {"answer": "answer"}, "prices": PRICES, **fields}
    return CallRunnable(runnable=f"tests.graphs:{name}", **fields)


def bare(name, **fields):
    return calling(name, **{"input": "question", "into": "answer", **fields})


def app_of(node, **fields):
    return app_for(line(("talk", node), output=["answer"], **fields))


async def test_a_graph_is_one_step_and_its_models_are_calls_of_the_run():
    async with app_of(calling(), budget=Budget(usd="0.01")) as app:
        result = await app.run("line", QUESTION)
        whole, *models = await app.ledger.calls(result.run_id)
        assert result.output == {"answer": "an answer"}
        assert (result.steps, result.calls, result.input_tokens, result.output_tokens) == (1, 3, 80, 10)
        assert float(result.cost_usd) == pytest.approx(90e-6)
        assert (whole.operation_name, whole.tool_name, whole.tool_effect) == (
            "invoke_workflow",
            "tests.graphs:graph",
            "once",
        )
        assert [(one.operation_name, one.request_model, one.tool_name) for one in models] == [
            ("chat", "scripted", "tests.graphs:graph")
        ] * 2
        assert [(one.status, one.cost_nano_usd, one.request_max_tokens) for one in models] == [
            ("ok", 45_000, graphs.LONG_ANSWER)
        ] * 2
        assert (await app.ledger.value(models[1].request_payload))["messages"] == [
            {"role": "human", "content": "a draft"}
        ]
        assert (await app.ledger.value(models[1].response_payload))["content"] == "an answer"


async def test_models_inside_wait_for_room_in_the_limits_of_their_provider():
    workflow = line(("talk", calling()), output=["answer"])
    limits = {"capped": RateLimit(requests_per_minute=1)}
    async with App(workflows=[workflow], database="sqlite:///:memory:", limits=limits, clock=StillClock()) as app:
        app.check_limits()  # nobody knows which models a runnable asks, so no name is refused
        result = await app.run("line", QUESTION)
        _, first, second = await app.ledger.calls(result.run_id)
    assert first.provider_name == "capped"
    assert (first.waited_ns, second.waited_ns >= 50 * 10**9) == (None, True)


@pytest.mark.parametrize("name", ["threaded", "remembering", "side_by_side"])
async def test_models_are_metered_in_threads_side_by_side_and_in_graphs_that_keep_checkpoints(name):
    async with app_of(calling(name)) as app:
        result = await app.run("line", QUESTION)
        assert (result.status, result.calls, result.input_tokens) == (RunStatus.SUCCEEDED, 3, 80)


async def test_a_request_that_could_pass_the_budget_is_not_made():
    async with app_of(calling(effect="read"), budget=Budget(tokens=105)) as app:
        result = await app.run("line", QUESTION)
        assert result.status is RunStatus.BUDGET_EXCEEDED
        assert "tokens left" in result.error.message
        assert len(graphs.model.asked) == 1
        assert result.input_tokens == 40


async def test_a_refusal_is_heard_in_a_thread_too():
    async with app_of(calling("threaded", effect="read"), budget=Budget(tokens=105)) as app:
        result = await app.run("line", QUESTION)
        assert (result.status, len(graphs.model.asked)) == (RunStatus.BUDGET_EXCEEDED, 1)


async def test_a_model_that_does_not_say_how_long_its_answer_may_be_is_reserved_at_the_limit_of_the_node():
    node = bare("asking_silent", max_tokens=700)
    async with app_of(node, budget=Budget(tokens=500)) as app:
        assert (await app.run("line", QUESTION)).status is RunStatus.BUDGET_EXCEEDED
    async with app_of(node) as app:
        result = await app.run("line", QUESTION)
        _, asked = await app.ledger.calls(result.run_id)
        assert asked.charged_tokens > 700  # it says nothing about its usage: the reservation stands
        assert (result.output, result.cost_usd) == ({"answer": "well"}, None)


async def test_a_model_without_a_price_is_refused_where_the_budget_is_in_dollars():
    async with app_of(calling(prices={}), budget=Budget(usd=1)) as app:
        result = await app.run("line", QUESTION)
        assert "the price of capped:scripted" in result.error.message
        assert not graphs.model.asked


async def test_a_model_that_fails_is_a_failed_call_and_a_runnable_that_reads_runs_again():
    async with app_of(bare("sending", effect="read")) as app:
        result = await app.run("line", QUESTION)
        assert result.output == {"answer": "better"}
        calls = await app.ledger.calls(result.run_id)
        assert [(one.operation_name, one.attempt, one.status) for one in calls] == [
            ("invoke_workflow", 1, "failed"),
            ("chat", 2, "failed"),
            ("invoke_workflow", 3, "ok"),
            ("chat", 4, "ok"),
        ]
        assert len(graphs.sent) == 2


async def test_what_may_act_once_and_stops_halfway_waits_for_a_person():
    async with app_of(bare("sending")) as app:
        stopped = await app.run("line", QUESTION)
        assert stopped.status is RunStatus.NEEDS_REVIEW
        assert "slow down" in stopped.error.message
        (whole,) = [one for one in await app.ledger.calls(stopped.run_id) if one.status == "unknown"]
        await app.resolve(stopped.run_id, whole.call_id, done=True, answer="sent by hand")
        result = await app.resume(stopped.run_id)
        assert result.output == {"answer": "sent by hand"}
        assert len(graphs.sent) == 1


async def test_what_may_act_once_and_ran_out_of_budget_is_not_run_again_in_silence():
    async with app_of(calling(), budget=Budget(tokens=105)) as app:
        stopped = await app.run("line", QUESTION)
        assert stopped.status is RunStatus.BUDGET_EXCEEDED
        again = await app.resume(stopped.run_id, budget=Budget(tokens=10_000))
        assert again.status is RunStatus.NEEDS_REVIEW
        assert len(graphs.model.asked) == 1


async def test_a_run_that_ran_out_of_budget_goes_on_with_a_runnable_that_reads():
    async with app_of(calling(effect="read"), budget=Budget(tokens=105)) as app:
        stopped = await app.run("line", QUESTION)
        result = await app.resume(stopped.run_id, budget=Budget(tokens=10_000))
        assert result.status is RunStatus.SUCCEEDED
        assert [one.diverged_from for one in await app.ledger.calls(result.run_id)] == [None] * 5
        assert result.calls == 5


async def test_time_over_settles_the_requests_that_are_under_way():
    async with app_of(bare("asking_stalling", effect="read", call_seconds=0.05, retry=Retry(attempts=1))) as app:
        result = await app.run("line", QUESTION)
        assert result.error.type == "CallTimeout"
        assert [one.status for one in await app.ledger.calls(result.run_id)] == ["failed", "cancelled"]


@pytest.mark.parametrize("name", ["interrupting", "interrupting_with_memory", "leaving"])
async def test_what_only_the_graph_around_could_answer_is_refused(name):
    async with app_of(calling(name, effect="read")) as app:
        result = await app.run("line", QUESTION)
        assert result.status is RunStatus.FAILED
        assert "put an Approve or Ask before or after this node" in result.error.message


async def test_a_model_that_would_hold_up_the_event_loop_is_refused():
    async with app_of(calling("blocking", effect="read")) as app:
        result = await app.run("line", QUESTION)
        assert "await ainvoke()" in result.error.message


async def test_an_answer_that_json_cannot_hold_is_refused():
    async with app_of(bare("not_json", effect="read")) as app:
        assert "what JSON cannot hold" in (await app.run("line", QUESTION)).error.message


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        (lambda: calling("not_a_runnable"), "is a function and not a Runnable: compile the graph"),
        (
            lambda: calling(input={"query": "question"}),
            "the runnable's input has no 'query'; it has question, draft, answer",
        ),
        (lambda: calling(into={"reply": "answer"}), "the runnable's answer has no 'reply'"),
        (lambda: bare("sending", constants={"a": 1}), "constants need keys"),
        (lambda: calling(cache={"ttl": 1}), "cannot have a cache"),
    ],
)
def test_a_wrong_one_is_refused_when_it_is_built(node, sentence):
    with pytest.raises(DefinitionError, match=sentence):
        line(("talk", node()))
