"""Route: says which node follows, from what was written; pure, and inside the record, so its errors are the step's."""

from collections.abc import Mapping
from typing import Any

from engine.definition.routes import Choice
from engine.errors import NodeFailed
from engine.runtime.run import Step, StepNext
from engine.runtime.tokens import COUNTS, taken_from


async def route(step: Step, call_next: StepNext) -> Mapping[str, Any]:
    """Choose the next nodes, unless a fallback inside has chosen already.

    Raises:
        NodeFailed: the field of a branch holds a value that no way is given for.
    """
    update = await call_next(step)
    way = step.way
    if step.goto or way is None:
        return update
    if not isinstance(way, Choice):
        step.goto = way.targets
        return update
    value = update.get(way.on, step.state.get(way.on))
    targets = way.choose(value)
    if not targets:
        raise NodeFailed(f"no way is given for {way.on} = {value!r} after {step.name!r}: give the branch a default")
    if way.at_most:
        name = step.name.rpartition("/")[2]  # as its own graph calls it
        targets = way.within_bounds(targets, taken_from(name, way, step.state.get(COUNTS) or {}))
    step.goto = targets
    return update
