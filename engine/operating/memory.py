"""Ends a worker in good order when its process has become too large."""

import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

from engine.worker import Worker

_LOOK_SECONDS = 1.0
_STATM = Path("/proc/self/statm")


def resident_bytes() -> int:
    """Give the memory that this process holds; where the system tells no more, the most that it ever held."""
    if _STATM.exists():
        return int(_STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


async def drain_when_large(worker: Worker, limit: int, held: Callable[[], int] = resident_bytes) -> int:
    """Look at the memory now and then, drain the worker once there is more than this limit, and say how much it was."""
    while True:
        now = held()
        if now > limit:
            worker.drain()
            return now
        await worker.app.clock.sleep(_LOOK_SECONDS)
