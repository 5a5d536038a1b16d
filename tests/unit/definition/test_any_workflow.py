"""Laws that hold for any valid workflow."""

import asyncio

from hypothesis import HealthCheck, given, settings

from engine.definition.bounds import visits
from engine.definition.workflow import Workflow
from engine.records import RunStatus
from tests.flows import app_for, scripted
from tests.random_workflows import WORKFLOWS


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(WORKFLOWS)
def test_any_workflow_survives_json_with_the_same_version(workflow):
    again = Workflow.from_json(workflow.to_json())
    assert again == workflow
    assert again.version == workflow.version
    assert again.mermaid() == workflow.mermaid()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(WORKFLOWS)
def test_any_workflow_runs_to_its_end_within_its_bounds(workflow):
    async def run():
        async with app_for(workflow, large=scripted("fine")) as app:
            result = await app.run("any", {"question": "refunds"})
            return result, await app.ledger.steps(result.run_id)

    result, steps = asyncio.run(run())
    assert result.status is RunStatus.SUCCEEDED, result.error
    most = visits(workflow)
    for name in most:
        assert len([step for step in steps if step.node_name == name]) <= most[name]
    assert len({(step.node_name, step.visit) for step in steps}) == len(steps)
