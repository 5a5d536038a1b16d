"""Fall back: another node, the join or a canned answer for a step, the next target for a call; the cause is kept."""

from collections.abc import Mapping
from typing import Any

from engine.errors import BudgetExceeded, ContextTooLong, RunError
from engine.runtime.answer import Answer
from engine.runtime.classify import scrub
from engine.runtime.middleware.degrade import note
from engine.runtime.run import Call, CallNext, Step, StepNext


async def go_on_without(step: Step, call_next: StepNext) -> Mapping[str, Any]:
    """Send an optional way to its join when a step of it failed in a way that allows it."""
    try:
        return await call_next(step)
    except RunError as error:
        if step.gives_up_to is None or not error.recoverable:
            raise
        step.gives_up = True
        return _leave_to(step.gives_up_to, step, error)


async def fall_back_to_node(step: Step, call_next: StepNext) -> Mapping[str, Any]:
    """Send the run to the node's fallback when the step failed in a way that allows it."""
    try:
        return await call_next(step)
    except RunError as error:
        node = step.node
        if node.fallback is None or not error.recoverable or (node.fallback_on and error.kind not in node.fallback_on):
            raise
        return _leave_to(node.fallback, step, error)


async def fall_back_to_canned(step: Step, call_next: StepNext) -> Mapping[str, Any]:
    """Write what the definition says for the worst case; the cause stays with the step."""
    try:
        return await call_next(step)
    except RunError as error:
        if step.node.canned is None or not (error.recoverable or isinstance(error, BudgetExceeded)):
            raise
        note(step, "canned")
        step.record.error_type, step.record.error_message = type(error).__name__, scrub(str(error))
        return dict(step.node.canned)


def _leave_to(target: str, step: Step, error: RunError) -> Mapping[str, Any]:
    """Let a node take over from a step; the step is recorded as failed, and writes nothing."""
    step.goto, step.record.fallback_to = (target,), target
    step.record.error_type, step.record.error_message = type(error).__name__, scrub(str(error))
    return {}


async def fall_back_to_target(call: Call, call_next: CallNext) -> Answer:
    """Ask the targets of a role in turn until one answers."""
    first: RunError | None = None
    for index in range(len(call.targets)):
        call.target_index = index
        try:
            return await call_next(call)
        except RunError as error:
            first = first or error
            is_last = index == len(call.targets) - 1 or _is_for_the_node(call, error)
            if is_last or not error.recoverable:
                raise first from first.__cause__
    raise AssertionError("a call has a target")


def _is_for_the_node(call: Call, error: RunError) -> bool:
    """Say whether the node can mend what is wrong before another target is asked."""
    return isinstance(error, ContextTooLong) and not call.details.get("falls_back_when_too_long", True)
