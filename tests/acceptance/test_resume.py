"""A run goes on where it was: after a failure, on the same version only, and as often as it is asked for."""

import asyncio

import pytest

from engine.definition.edges import END, START, Chain
from engine.errors import InputError, RunError, VersionChanged
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
