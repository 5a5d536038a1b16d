"""Hedge: a call that takes long is made once more beside the first, and the answer that comes first counts."""

import asyncio
from dataclasses import replace
from typing import Any

from engine.definition.policies import Hedge
from engine.runtime.answer import Answer
from engine.runtime.run import Call, CallNext


async def hedge(call: Call, call_next: CallNext) -> Answer:
    """Make the attempt, and another beside it if it takes long and the target has earned one; both are charged."""
    policy = call.step.node.hedge
    if policy is None or not _may_be_made_twice(call):
        return await call_next(call)
    call.run.hedges.earn(call.target.name, policy.share)
    first = asyncio.ensure_future(call_next(call))
    twin = replace(call, attempt=call.attempt + 1, record=None, details=call.details | {"purpose": "hedge"})
    tasks: list[asyncio.Future[Answer]] = [first]
    try:
        if not await _is_slow(first, policy, call):
            return first.result()
        second = asyncio.ensure_future(call_next(twin))
        tasks.append(second)
        call.attempt += 1  # retries count on from here
        return await _first_answer(first, second)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _may_be_made_twice(call: Call) -> bool:
    """Say whether it does no harm to make a call twice; nobody could tell which of two streams to listen to."""
    is_heard = call.run.listener is not None and getattr(call.payload, "stream", False)
    return call.details.get("effect") != "once" and not is_heard


async def _is_slow(first: "asyncio.Future[Answer]", policy: Hedge, call: Call) -> bool:
    """Wait for the attempt for a while; say whether it takes long and another may be made."""
    timer: asyncio.Future[Any] = asyncio.ensure_future(call.run.clock.sleep(policy.after))
    try:
        await asyncio.wait({first, timer}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
    if first.done() or not call.run.hedges.spend(call.target.name):
        await asyncio.wait({first})
        return False
    return True


async def _first_answer(first: "asyncio.Future[Answer]", second: "asyncio.Future[Answer]") -> Answer:
    """Give the answer that comes first; where one attempt fails the other is waited for; the first's error counts."""
    waiting = {first, second}
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if task.exception() is None:
                return task.result()
    return first.result()
