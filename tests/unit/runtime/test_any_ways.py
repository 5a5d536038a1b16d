"""Laws of parallel ways: whatever they look like, a run goes where a plain interpreter says, crash or no crash."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from engine.definition.bounds import visits
from engine.definition.workflow import Workflow
from engine.errors import InputError
from engine.records import RunStatus
from tests.flows import app_for
from tests.random_ways import FLOWS
from tests.ways import killed_at_each_commit

Visits = dict[tuple[str, int, str | None], str]


def ended(steps: Sequence[Any]) -> Visits:
    """Give how each visit ended, those aside that were cancelled."""
    names = {step.step_id: step.node_name for step in steps}
    inside = {step.step_id: names.get(step.parent_step_id) for step in steps}
    kept = [step for step in steps if step.status != "cancelled"]
    return {(step.node_name, step.visit, inside[step.step_id]): step.status for step in kept}


async def run_once(workflow: Workflow, database: str = "sqlite:///:memory:") -> tuple[list[str], Sequence[Any], str]:
    async with app_for(workflow, database=database) as app, asyncio.timeout(60):
        result = await app.run("any", {})
        assert result.status is RunStatus.SUCCEEDED, result.error
        return sorted(result.output["trail"]), await app.ledger.steps(result.run_id), result.run_id


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FLOWS)
def test_a_run_goes_where_the_interpreter_says(flow):
    workflow, expected = flow
    trail, steps, _ = asyncio.run(run_once(workflow))
    assert trail == expected
    assert len({(step.step_id, step.attempt) for step in steps}) == len(steps)
    for name, most in visits(workflow).items():
        assert len([step for step in steps if step.node_name == name]) <= most


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes
)
@given(FLOWS, st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=3))
def test_a_crash_anywhere_and_a_resume_lead_to_the_same_steps(flow, moments):
    workflow, expected = flow

    async def check(folder: Path) -> None:
        with killed_at_each_commit(folder / "run") as (database, copies):
            _, steps, run_id = await run_once(workflow, database)
        for chosen in {copies[int(moment * len(copies))] for moment in moments}:
            async with app_for(workflow, database=chosen) as app, asyncio.timeout(60):
                try:
                    resumed = (await app.resume(run_id, take_over=True)).raise_for_status()
                except InputError:  # it had not begun, or had ended
                    continue
                assert sorted(resumed.output["trail"]) == expected
                assert ended(await app.ledger.steps(run_id)) == ended(steps)

    with TemporaryDirectory() as folder:
        asyncio.run(check(Path(folder)))
