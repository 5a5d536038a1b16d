"""A step goes through the step stack to its node."""

from collections.abc import Mapping
from typing import Any

from engine.errors import EngineError, NodeFailed, VisitsExceeded
from engine.runtime.compose import compose
from engine.runtime.context import Context
from engine.runtime.run import Step, StepNext
from engine.runtime.stacks import STEP_STACK
from engine.runtime.steps import recall


async def _run_node(step: Step) -> Mapping[str, Any]:
    """Run the node itself; what its code raises becomes an error that the engine knows."""
    bound = step.node.max_visits
    if bound is not None and step.record.visit > bound:
        raise VisitsExceeded(f"the node {step.name!r} may be visited {bound} times (max_visits) and was needed again")
    try:
        return await step.node.run(step.inputs, Context(step, visit))
    except (EngineError, *step.run.control_flow):
        raise
    except Exception as error:
        raise NodeFailed(f"the node {step.name!r} raised {type(error).__name__}: {error}") from error


_through_stack: StepNext = compose(STEP_STACK, _run_node)


async def visit(step: Step) -> Mapping[str, Any]:
    """Give what a step writes, and set where it goes on."""
    if step.scope.parent is not None and (update := await recall(step)) is not None:
        return update
    return await _through_stack(step)
