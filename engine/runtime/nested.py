"""Steps inside a step: a node for an item, or the graph of a sub-workflow with a state and an account of its own."""

from collections.abc import Mapping
from typing import Any

from engine.definition.guardrail import Stage
from engine.definition.node import Node
from engine.definition.state import initial_state
from engine.definition.workflow import Workflow
from engine.errors import BudgetExceeded, InputError, UpdateInvalid
from engine.runtime.examine import policy_at
from engine.runtime.in_time import in_time
from engine.runtime.middleware.guard import guarded
from engine.runtime.run import Scope, Step, StepNext, kept_accounts
from engine.runtime.steps import Touched, begin
from engine.usage import Account


async def visit_inside(
    parent: Step, visit: StepNext, name: str, node: Node, state: Mapping[str, Any], item: int | None
) -> Mapping[str, Any]:
    """Run a node as a step inside another."""
    scope = _scope(parent, parent.scope.workflow, parent.account)
    step = begin(scope, name, node, state, visit=1, way=None, touched=Touched.by(node), item=item)
    try:
        return await visit(step)
    except scope.run.control_flow:
        parent.waits_for |= step.waits_for
        raise


async def walk_inside(parent: Step, workflow: Workflow, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Run a workflow inside a step, within its own budget and the ones around it, and give the fields it returns."""
    run = parent.run
    scope = _scope(parent, workflow, Account(workflow.budget.limits(), parent=parent.account))
    scope.kept = kept_accounts(workflow.budget, scope.account)
    try:
        state = initial_state(workflow.state, given)
    except InputError as error:
        raise UpdateInvalid(f"the input of {workflow.name!r}: {error}") from error
    entered, policy = {name: state[name] for name in given}, (*workflow.policy, *policy_at(run, parent))
    if workflow.guard_input:
        entered = dict(
            await guarded(
                run, workflow.guard_input, entered, Stage.RUN_INPUT, step=parent, may_ask_again=False, policy=policy
            )
        )
    walking = run.walk(scope, {**state, **entered})
    values = await in_time(walking, workflow.budget.seconds, lambda: _late(workflow))
    if scope.waits:
        parent.waits_for |= scope.waits_for
        raise run.pause()
    returned = {name: values.get(name, state.get(name)) for name in workflow.output or workflow.state.model_fields}
    if workflow.guard_output:
        return await guarded(run, workflow.guard_output, returned, Stage.RUN_OUTPUT, step=parent, policy=policy)
    return returned


def _late(workflow: Workflow) -> BudgetExceeded:
    return BudgetExceeded(
        f"the sub-workflow {workflow.name!r} took longer than the {workflow.budget.seconds:g} seconds of its budget: "
        "raise its Budget(seconds=...)"
    )


def _scope(parent: Step, workflow: Workflow, account: Account) -> Scope:
    return Scope(run=parent.run, workflow=workflow, account=account, parent=parent)
