"""Keeps listening: what ends by an error begins again, at first at once and then less and less often."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn

from engine.ports import Ear

_FIRST_WAIT, _LONGEST_WAIT = 0.05, 5.0  # seconds

_log = logging.getLogger(__name__)


async def again(listen: Callable[[Callable[[], None]], Awaitable[None]], whom: str, ear: Ear) -> NoReturn:
    """Listen until cancelled, whatever happens.

    Args:
        listen: listens until something fails, and calls what it is given when it has begun to.
        whom: who is listened to, for the log.
        ear: is told whether anything is heard.
    """
    loop = asyncio.get_running_loop()
    wait, is_heard = _FIRST_WAIT, True
    since: float | None = None

    def began() -> None:
        nonlocal is_heard, since
        if not is_heard:
            _log.info("%s is heard again", whom)
        is_heard, since = True, loop.time()
        ear.hears = True

    while True:
        try:
            await listen(began)
        except Exception as error:  # whatever it is, runs are found by looking
            if (me := asyncio.current_task()) is not None and me.cancelling():  # a driver took it for an error
                raise asyncio.CancelledError from error
            if since is not None and loop.time() - since > _LONGEST_WAIT:
                wait = _FIRST_WAIT
            elif is_heard and wait > _FIRST_WAIT:  # not for a server that is back at once
                _log.warning("%s is not heard, so idle workers look once a second: %s", whom, _said(error))
                is_heard = False
        since = None
        ear.hears = False
        await asyncio.sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT)


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
