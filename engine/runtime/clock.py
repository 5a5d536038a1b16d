"""The clock of production: real time, fresh ids and real chance."""

import asyncio
import secrets
import time
from datetime import UTC, datetime

_CHANCE = secrets.SystemRandom()  # apart from what programs seed, and not the same in processes that are forked


class SystemClock:
    """Time, ids, chance and sleep from the machine."""

    def now(self) -> datetime:
        """Tell the time, aware and in UTC."""
        return datetime.now(UTC)

    def monotonic_ns(self) -> int:
        """Count nanoseconds; only differences mean something."""
        return time.monotonic_ns()

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    def new_run_id(self) -> str:
        """Make a uuid7 as 32 hex digits: milliseconds first, so that ids sort by time."""
        milliseconds = time.time_ns() // 1_000_000
        rest = secrets.randbits(74)
        return f"{milliseconds:012x}7{rest >> 62:03x}{0x8 | (rest >> 60) & 0x3:x}{rest & (1 << 60) - 1:015x}"

    def new_id(self) -> str:
        """Make a span id: 16 hex digits."""
        return secrets.token_hex(8)

    def random(self) -> float:
        """Draw a number from 0 (inclusive) to 1 (exclusive)."""
        return _CHANCE.random()
