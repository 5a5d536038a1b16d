"""A step in a way that may end early: another way wins, or a step at its side fails, and this one is cancelled."""

import asyncio
from collections.abc import Mapping
from typing import Any

from engine.errors import EngineError
from engine.runtime.run import Scope, Step
from engine.runtime.steps import finished_before, gave_up
from engine.runtime.tokens import Counts, Place
from engine.runtime.visit import visit

Update = Mapping[str, Any]


def has_ended(scope: Scope, place: Place, counts: Counts) -> bool:
    """Say whether the way around a node has ended since the last superstep, before the node began.

    A sub-workflow keeps no checkpoint; what an earlier process finished of it is read off the ledger.
    """
    if scope.parent is not None:
        if finished_before(scope, place.name, counts.get(f"visits:{place.name}", 0) + 1):
            return False
        _recall_ends(scope, place, counts)
    return scope.ends.has_ended(place.ways)


async def visit_in_way(step: Step, place: Place) -> Update | None:
    """Give what a step writes; None if its way ended meanwhile."""
    ends = step.scope.ends
    work = asyncio.create_task(_visit_and_end(step, place))
    with ends.working(place.ways, work):
        try:
            return await work
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if (caller is not None and caller.cancelling()) or not ends.has_ended(place.ways):
                raise
        except step.run.control_flow:
            if not await _is_lost(step, place):
                raise
        except EngineError:
            if not ends.has_ended(place.ways):
                raise
    return None


async def _visit_and_end(step: Step, place: Place) -> Update:
    """Visit the node, and end the ways that its end ends in the same turn of the event loop."""
    update = await visit(step)
    won = place.won(step)
    if step.gives_up and place.optional is not None:
        step.scope.ends.end([place.optional.head])
    elif won is not None:
        step.scope.ends.end(head for head in won.fork.targets if head != won.head)
    return update


async def _is_lost(step: Step, place: Place) -> bool:
    """Say whether the way ends while the step waits for a person, once those that may end it have come to rest."""
    ends = step.scope.ends
    rivals = {head for way in place.races for head in way.fork.targets if head != way.head}
    optional = {way.head for way in place.ways if way.is_optional}
    if work := ends.at_work(rivals | optional):
        await asyncio.wait(work)
    return ends.has_ended(place.ways)


def _recall_ends(scope: Scope, place: Place, counts: Counts) -> None:
    """End the ways that an earlier process had ended in this superstep."""
    forks = {way.fork for way in place.ways}
    for way in place.graph.ways:
        for name in way.nodes if way.fork in forks else ():
            done = finished_before(scope, name, counts.get(f"visits:{name}", 0) + 1)
            if done is None or done.goto != way.fork.join:
                continue
            if gave_up(done, scope.workflow.nodes[name]):
                scope.ends.end([way.head])
            elif way.fork.first:
                scope.ends.end(head for head in way.fork.targets if head != way.head)
