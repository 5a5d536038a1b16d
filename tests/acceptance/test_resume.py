"""A run goes on where it was: after a failure, on the same version only, and as often as it is asked for."""

import asyncio

import pytest

from engine.definition.edges import END, START, Chain, Parallel
from engine.definition.guardrail import Action, Guardrail, Verdict
from engine.errors import InputError, RunBusy, RunError, VersionChanged
from engine.nodes.call_tool import CallTool
from engine.nodes.compute import Compute
from engine.nodes.generate import Generate
from engine.records import RunStatus
from engine.testing import ScriptedModel
from tests.flows import app_for, line, noting, scripted

BROKEN = {"is": True}


def breaks(question: str) -> str:
    """Break down as long as it is broken."""
    if BROKEN["is"]:
        raise RuntimeError("it is broken")
    return f"mended: {question}"


def steps(**fields):
    nodes = (
        ("draft", Generate(model="large", prompt="{question}", into="answer", max_tokens=50)),
        ("break", Compute(function=breaks, into="ticket")),
    )
    return line(*nodes, **({"output": ["answer", "ticket"]} | fields))


@pytest.fixture
async def failed(tmp_path):
    BROKEN["is"] = True
    database = f"sqlite:///{tmp_path}/runs.db"
    async with app_for(steps(), database=database, large=scripted("a draft")) as app:
        result = await app.run("line", {"question": "q"})
        assert (result.status, result.error.node) == (RunStatus.FAILED, "break")
    BROKEN["is"] = False
    return database, result.run_id


async def test_another_process_goes_on_after_the_last_finished_step(failed):
    database, run_id = failed
    model = ScriptedModel(script=["another draft"])
    async with app_for(steps(), database=database, large=scripted("never asked")) as app:
        result = (await app.resume(run_id[-8:])).raise_for_status()
        assert result.output == {"answer": "a draft", "ticket": "mended: q"}
        assert [(step.node_name, step.status) for step in await app.ledger.steps(run_id)] == [
            ("draft", "ok"),
            ("break", "failed"),
            ("break", "ok"),
        ]
        with pytest.raises(InputError, match="has succeeded: there is nothing left to resume"):
            await app.resume(run_id)
    assert model.asked == []


async def test_a_changed_prompt_and_a_changed_budget_are_named(failed):
    database, run_id = failed
    changed = steps(
        nodes={
            "draft": Generate(model="large", prompt="Please: {question}", into="answer", max_tokens=50),
            "break": Compute(function=breaks, into="ticket"),
        },
        budget={"tokens": 5000},
    )
    async with app_for(changed, database=database, large=scripted("a draft")) as app:
        with pytest.raises(VersionChanged, match=r"the budget changed; the node 'draft' changed \(prompt\)"):
            await app.resume(run_id)
        assert (await app.ledger.run(run_id)).status is RunStatus.FAILED
        assert (await app.resume(run_id, accept_version=True)).status is RunStatus.SUCCEEDED
        assert (await app.ledger.run(run_id)).version == changed.version


async def test_another_model_is_named(failed):
    database, run_id = failed
    async with app_for(steps(), database=database, large=scripted("x", model_name="another")) as app:
        with pytest.raises(VersionChanged, match="the model of the role 'large' changed"):
            await app.resume(run_id)


async def test_a_node_that_is_gone_is_an_error_and_never_a_silent_end(failed):
    database, run_id = failed
    renamed = steps(
        nodes={
            "draft": Generate(model="large", prompt="{question}", into="answer", max_tokens=50),
            "mend": Compute(function=breaks, into="ticket"),
        },
        edges=[Chain(START, "draft", "mend", END)],
    )
    async with app_for(renamed, database=database, large=scripted("a draft")) as app:
        with pytest.raises(VersionChanged, match="waits at 'break', which 'line' no longer has"):
            await app.resume(run_id, accept_version=True)
        assert (await app.ledger.run(run_id)).status is RunStatus.FAILED


async def test_starting_with_an_id_again_gives_the_result_or_goes_on():
    run_id = "a" * 32
    async with app_for(line(("note", noting()), output=["notes"])) as app:
        first = await app.run("line", {"question": "q"}, run_id=run_id)
        again = await app.run("line", {"question": "q"}, run_id=run_id)
        assert first.output == again.output == {"notes": ["q"]}
        assert len(await app.ledger.runs()) == 1
        with pytest.raises(InputError, match="it has 32 hex digits"):
            await app.run("line", {"question": "q"}, run_id="mine")
    BROKEN["is"] = True
    async with app_for(steps(), large=scripted("a draft")) as app:
        assert (await app.run("line", {"question": "q"}, run_id=run_id)).status is RunStatus.FAILED
        BROKEN["is"] = False
        assert (await app.run("line", {"question": "q"}, run_id=run_id)).status is RunStatus.SUCCEEDED


async def test_many_that_fail_at_their_first_node_go_on_from_their_input():
    BROKEN["is"] = True
    async with app_for(line(("break", Compute(function=breaks, into="ticket")), output=["ticket"])) as app:
        failed = await asyncio.gather(*(app.run("line", {"question": f"q{number}"}) for number in range(20)))
        assert {result.status for result in failed} == {RunStatus.FAILED}
        with pytest.raises(RunError, match="it is broken"):
            failed[0].raise_for_status()
        BROKEN["is"] = False
        mended = await asyncio.gather(*(app.resume(result.run_id) for result in failed))
        assert [result.output["ticket"] for result in mended] == [f"mended: q{number}" for number in range(20)]


async def refuses(question: str) -> str:
    """Never finish."""
    await asyncio.Event().wait()
    return question


class Explodes(Guardrail):
    """Breaks down as long as it is broken."""

    async def check(self, item):
        if BROKEN["is"]:
            raise ValueError("the guard is broken")
        return []


class AsksAPerson(Guardrail):
    """Asks for a person, always."""

    async def check(self, item):
        return [("question", Verdict(action=Action.REQUIRE_APPROVAL, reason="somebody must look"))]


async def test_a_caller_that_gives_up_on_a_resume_leaves_the_ledger_working():
    BROKEN["is"] = True
    async with app_for(steps(), large=scripted("a draft")) as app:
        failed = await app.run("line", {"question": "q"})
        BROKEN["is"] = False
        for turns in range(12):
            resuming = asyncio.create_task(app.resume(failed.run_id))
            for _ in range(turns):
                await asyncio.sleep(0)
            resuming.cancel()
            await asyncio.gather(resuming, return_exceptions=True)
        record = await app.ledger.run(failed.run_id)
        if record.status is not RunStatus.SUCCEEDED:
            assert (await app.resume(failed.run_id)).status is RunStatus.SUCCEEDED


async def test_of_two_that_start_with_the_same_id_at_once_one_does_and_the_other_is_told():
    run_id = "b" * 32
    async with app_for(steps(), large=scripted("a draft")) as app:
        BROKEN["is"] = False
        started = [app.run("line", {"question": "q"}, run_id=run_id) for _ in range(2)]
        one, other = await asyncio.gather(*started, return_exceptions=True)
        assert one.status is RunStatus.SUCCEEDED
        assert isinstance(other, RunBusy)
        assert len(await app.ledger.steps(run_id)) == 2


async def test_a_caller_that_gives_up_at_any_moment_is_told_so_and_the_run_is_recorded_or_never_was():
    BROKEN["is"] = False
    async with app_for(steps(), large=scripted("a draft")) as app:
        for turns in range(0, 40, 2):
            running = asyncio.create_task(app.run("line", {"question": "q"}))
            for _ in range(turns):
                await asyncio.sleep(0)
            running.cancel()
            (ended,) = await asyncio.gather(running, return_exceptions=True)
            assert isinstance(ended, asyncio.CancelledError) or ended.status is RunStatus.SUCCEEDED
        assert {run.status for run in await app.ledger.runs()} <= {RunStatus.CANCELLED, RunStatus.SUCCEEDED}


async def test_an_input_that_was_not_accepted_is_never_run():
    workflow = line(("note", noting()), guard_input=[AsksAPerson()])
    async with app_for(workflow) as app:
        stopped = await app.run("line", {"question": "q"})
        assert stopped.status is RunStatus.NEEDS_REVIEW
        with pytest.raises(InputError, match="stopped before its input was accepted"):
            await app.resume(stopped.run_id)


async def test_a_guardrail_that_breaks_down_fails_the_run_which_goes_on_when_it_is_mended():
    workflow = line(("note", noting()), guard_output=[Explodes()], output=["notes"])
    BROKEN["is"] = True
    async with app_for(workflow) as app:
        failed = await app.run("line", {"question": "q"})
        assert failed.status is RunStatus.FAILED
        assert "ValueError: the guard is broken" in failed.error.message
        BROKEN["is"] = False
        result = await app.resume(failed.run_id)
        assert result.output == {"notes": ["q"]}
        assert len(await app.ledger.steps(failed.run_id)) == 1, "the step that had finished does not run again"


async def test_a_run_that_begins_with_parallel_ways_and_was_cancelled_goes_on():
    hang = CallTool(tool=refuses, args={"question": "question"}, into="ticket", effect="read")
    nodes = {"one": noting(), "two": hang, "join": noting()}
    edges = [Parallel(START, to=["one", "two"], join="join"), Chain("join", END)]
    async with app_for(line(("note", noting()), nodes=nodes, edges=edges)) as app:
        for turns in (0, 3, 20, 200):
            running = asyncio.create_task(app.run("line", {"question": "q"}))
            for _ in range(turns):
                await asyncio.sleep(0)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        accepted = [run for run in await app.ledger.runs() if run.input_payload is not None]
        assert accepted
        for run in accepted:
            resuming = asyncio.create_task(app.resume(run.run_id))
            for _ in range(200):
                await asyncio.sleep(0)
            resuming.cancel()
            (ended,) = await asyncio.gather(resuming, return_exceptions=True)
            assert isinstance(ended, asyncio.CancelledError)
