"""Several pieces of work at once, in the order they were given."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from engine.errors import EngineError

Item = TypeVar("Item")
Result = TypeVar("Result")


async def side_by_side(
    work: Callable[[int, Item], Awaitable[Result]], items: Sequence[Item], *, at_once: int
) -> list[Result]:
    """Do some work for each item, so many at once, and give the results in the order of the items.

    The first error of the engine ends the others. Where one waits for a person, the others go on to their end, and only
    then does the whole wait.
    """
    gate = asyncio.Semaphore(at_once)

    async def one(number: int, item: Item) -> Result:
        async with gate:
            return await work(number, item)

    tasks = [asyncio.create_task(one(number, item)) for number, item in enumerate(items)]
    left = set(tasks)
    try:
        while left:
            done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if isinstance(error := task.exception(), EngineError):
                    raise error
        return [task.result() for task in tasks]
    finally:
        for task in left:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # those that wait have raised, too
