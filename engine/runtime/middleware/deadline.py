"""Deadline: the longest that one visit of a node may take, over every attempt and re-ask."""

from collections.abc import Mapping
from typing import Any

from engine.errors import StepTimeout
from engine.runtime.in_time import in_time
from engine.runtime.run import Step, StepNext


async def deadline(step: Step, call_next: StepNext) -> Mapping[str, Any]:
    """End the step when its time is over."""
    seconds = step.node.seconds
    if seconds is None:
        return await call_next(step)
    step.ends_ns = step.run.clock.monotonic_ns() + int(seconds * 1e9)
    return await in_time(
        call_next(step),
        seconds,
        lambda: StepTimeout(f"the node {step.name!r} took longer than its {seconds:g} seconds"),
    )
