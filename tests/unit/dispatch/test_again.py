"""A worker knows whether its dispatcher is heard, so that it looks more often while it is not."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from engine.dispatch.again import again
from engine.dispatch.hearing import Hearing
from engine.testing import in_virtual_time


async def heard_over_time() -> list[bool]:
    """Listen to a server that is there for ten seconds, gone for one and there again; say each five what is heard."""
    ear = Hearing(["default"], set, asyncio.Event())
    tries = 0

    async def listen(began: Callable[[], None]) -> None:
        nonlocal tries
        tries += 1
        if tries != 2:
            began()
            await asyncio.sleep(11)
        await asyncio.sleep(1)
        raise ConnectionError("the server is gone")

    listening = asyncio.create_task(again(listen, "somebody", ear))
    heard: list[bool] = []
    for _ in range(4):
        heard.append(ear.hears)
        await asyncio.sleep(6.1)
    listening.cancel()
    with suppress(asyncio.CancelledError):
        await listening
    return heard


def test_it_hears_while_the_server_is_there_and_again_when_it_is_back():
    assert in_virtual_time(heard_over_time()) == [False, True, False, True]
