"""Many recorded runs again: what that costs is said first, is never passed, and never paid twice."""

import asyncio

import pytest

from engine import App, InputError, Model, Price, Workflow
from engine.errors import DefinitionError
from engine.records import RunRecord
from engine.replay.batch import HowToReplay
from engine.replay.changes import Changes
from engine.replay.table import BatchTable
from engine.store.replay_batches import Selection
from engine.testing import ScriptedModel, StillClock, killed
from tests.flows import app_for, line, scripted
from tests.unit.runtime.test_replay import draft
from workflows.triage import triage

PRICE = Price(input="1", output="4")
FAILED = Selection(status="failed", workflow="triage")


def sorts(messages):
    """Sort what it is told to sort; a poem is no category."""
    said = " ".join(str(message.content) for message in messages)
    return "roses are red" if "poem" in said else {"category": "question"}


def broken() -> Workflow:
    """Give the shipped workflow with a prompt that asks for something else."""
    return Changes.of(["prompt.sort=Write a poem about {message}"]).applied_to(triage)


def app_of(workflow: Workflow, database: str, clock: StillClock, model: ScriptedModel) -> App:
    return App(workflows=[workflow], models={"small": Model(model, price=PRICE)}, database=database, clock=clock)


async def a_week(database: str, failed: int, clock: StillClock) -> None:
    """Record runs that succeed, and then runs that fail since somebody broke the prompt."""
    model = ScriptedModel(script=[sorts], input_tokens=120, output_tokens=12)
    async with app_of(triage, database, clock, model) as app:
        for number in range(5):
            await app.run("triage", {"message": f"How does it go, number {number}?"})
    async with app_of(broken(), database, clock, model) as app:
        for number in range(failed):
            result = await app.run("triage", {"message": f"How does it work, number {number}?"})
            assert result.status == "failed"


@pytest.fixture
def tickets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return f"sqlite:///{tmp_path}/runs.db"


async def test_failed_runs_are_fixed_and_the_bill_was_known(tickets):
    clock = StillClock()
    await a_week(tickets, 30, clock)
    model = ScriptedModel(script=[sorts], input_tokens=118, output_tokens=12)
    async with app_of(triage, tickets, clock, model) as app:
        runs = await app.select_runs(FAILED)
        expected = await app.estimate(runs, HowToReplay())
        assert model.asked == []
        batch = await app.begin_replays(runs, HowToReplay())
        table = await app.replay_all(batch.batch_id)
    assert table.counts == {"fixed": 30, "broken": 0, "same": 0, "diverged": 0}
    assert len(model.asked) == 30 == table.total("live")
    assert abs(expected.nano_usd - table.spent_nano_usd) <= 0.2 * table.spent_nano_usd
    assert expected.low <= table.spent_nano_usd <= expected.high


async def begun(database: str, clock: StillClock) -> str:
    async with app_of(triage, database, clock, ScriptedModel(script=[sorts])) as app:
        return (await app.begin_replays(await app.select_runs(FAILED), HowToReplay())).batch_id


async def go_on(database: str, batch_id: str) -> BatchTable:
    async with app_of(triage, database, StillClock(), ScriptedModel(script=[sorts])) as app:
        return await app.replay_all(batch_id, concurrency=3)


def test_a_batch_whose_process_was_killed_goes_on_and_pays_nothing_twice(tickets):
    clock = StillClock()
    asyncio.run(a_week(tickets, 12, clock))
    batch_id = asyncio.run(begun(tickets, clock))
    assert killed(go_on, tickets, batch_id, at="after answer", number=9)
    table = asyncio.run(go_on(tickets, batch_id))
    assert (table.counts["fixed"], table.left) == (12, 0)
    assert table.total("live") <= 12 + 3  # what was on its way when the process died may be asked again

    async def look() -> list[RunRecord]:
        async with app_of(triage, tickets, clock, ScriptedModel(script=[sorts])) as app:
            return [run for run in await app.ledger.runs(limit=100) if run.origin == "replay"]

    assert len(asyncio.run(look())) == 12


async def test_no_call_is_made_that_could_pass_what_the_batch_may_cost(tickets):
    clock = StillClock()
    await a_week(tickets, 12, clock)
    model = ScriptedModel(script=[sorts], input_tokens=100, output_tokens=25)
    async with app_of(triage, tickets, clock, model) as app:
        runs = await app.select_runs(FAILED)
        batch = await app.begin_replays(runs, HowToReplay())
        some = await app.replay_all(batch.batch_id, max_usd="0.0011")
        assert 0 < len(some.rows) < 12
        assert some.spent_nano_usd <= 1_100_000
        table = await app.replay_all(batch.batch_id, max_usd="1")
    assert (table.counts["fixed"], table.left) == (12, 0)
    assert len(model.asked) == 12


async def test_runs_are_selected_by_any_column_and_a_sample_is_the_same_each_time(tickets):
    clock = StillClock()
    await a_week(tickets, 9, clock)
    async with app_of(triage, tickets, clock, ScriptedModel(script=[sorts])) as app:

        async def count(*where: str) -> int:
            return len(await app.select_runs(Selection(where=where)))

        assert await count("status=failed", "error_node=sort") == 9
        assert await count("calls.tool_name=open_ticket") == 5
        assert await count("steps.node_name~ort", "calls>2") == 9
        assert await count("tenant=null", "started_at>2020-01-01", "steps.cached=false") == 14
        one, other = [await app.select_runs(Selection(sample=4)) for _ in range(2)]
        assert [run.run_id for run in one] == [run.run_id for run in other]
        for wrong in ("status", "nothing=1", "runs.nothing=1", "never.status=1", "calls>many", "steps.cached=perhaps"):
            with pytest.raises(InputError, match="--where"):
                await count(wrong)


async def test_a_batch_of_nothing_of_two_workflows_or_with_a_wrong_change_is_refused():
    nodes = (("draft", draft()),)
    both = [line(*nodes, name="one"), line(*nodes, name="two")]
    async with app_for(*both, large=scripted("fine")) as app:
        with pytest.raises(InputError, match="no run is selected"):
            await app.begin_replays([], HowToReplay())
        for workflow in both:
            await app.run(workflow.name, {"question": "q"})
        runs = await app.select_runs(Selection())
        with pytest.raises(InputError, match="runs of one, two are selected"):
            await app.estimate(runs, HowToReplay())
        for setting in ("model.small=embedded", "node.other.max_tokens=1", "guardrail.Pii.action=mask"):
            with pytest.raises(InputError, match="--set names"):
                await app.begin_replays(runs[:1], HowToReplay(settings=(setting,)))
        with pytest.raises(DefinitionError):
            await app.begin_replays(runs[:1], HowToReplay(settings=("node.draft.max_tokens=-1",)))
        with pytest.raises(InputError, match="no batch of replays begins"):
            await app.replay_all("0123")


async def test_a_succeeded_run_that_fails_now_is_broken_and_one_that_says_something_else_diverged():
    workflow = line(("draft", draft()))
    model = ScriptedModel(script=["a", "b", "c", RuntimeError("no")])
    async with app_for(workflow, large=Model(model, price=PRICE)) as app:
        for _ in range(2):
            await app.run("line", {"question": "q"})
        how = HowToReplay(settings=("prompt.draft=Other: {question}",))
        batch = await app.begin_replays(await app.select_runs(Selection()), how)
        table = await app.replay_all(batch.batch_id, concurrency=1)
        recorded = await app.begin_replays(await app.select_runs(Selection()), HowToReplay(recorded=True))
        same = await app.replay_all(recorded.batch_id)
    assert table.counts == {"fixed": 0, "broken": 1, "same": 0, "diverged": 1}
    assert (same.counts["same"], same.total("live"), len(model.asked)) == (2, 0, 4)
