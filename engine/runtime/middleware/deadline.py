"""Deadline: the longest that one visit of a node may take, over every attempt and re-ask."""

import asyncio
from collections.abc import Mapping
from typing import Any

from engine.errors import StepTimeout
from engine.runtime.run import Step, StepNext


async def deadline(step: Step, call_next: StepNext) -> Mapping[str, Any]:
    """End the step when its time is over."""
    seconds = step.node.seconds
    if seconds is None:
        return await call_next(step)
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await call_next(step)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise StepTimeout(f"the node {step.name!r} took longer than its {seconds:g} seconds") from error
