"""What listens is ended, even if a driver loses the word that it is to end."""

import asyncio
from contextlib import suppress

from engine.dispatch.stopping import stop
from engine.testing import in_virtual_time


def test_a_task_that_loses_a_cancellation_is_cancelled_again():
    async def loses(times: int) -> None:
        for _ in range(times):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
        await asyncio.sleep(3600)

    async def begin_and_stop() -> list[bool]:
        tasks = [asyncio.create_task(loses(times)) for times in (0, 1, 3)]
        await asyncio.sleep(0)
        await stop(tasks)
        return [one.cancelled() for one in tasks]

    assert in_virtual_time(begin_and_stop()) == [True, True, True]


def test_nothing_and_what_has_failed_is_stopped_too():
    async def fails() -> None:
        raise ConnectionError

    async def begin_and_stop() -> None:
        failed = asyncio.create_task(fails())
        await asyncio.wait([failed])
        await stop([failed])
        await stop([])

    in_virtual_time(begin_and_stop())
