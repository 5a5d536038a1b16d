"""A parent starts workers as processes of their own, watches them, starts again what ended, and passes signals on."""

import asyncio
import json
import os
import signal
import socket
from asyncio import create_subprocess_exec as start_process
from asyncio.subprocess import DEVNULL, Process
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

TOO_LARGE = 5
"""The exit code of a worker that drained since it held more memory than it may."""

DRAINED = 6
"""The exit code of a worker that somebody has asked on the ledger to drain; it is not started again."""

LINE = "FLOWLEDGER_PARENT_LINE"
"""Tells a child which of its files is a line to us: it says there how its runs ended, and hears that we are gone."""

_MISCONFIGURED = 2
_STOPPED = 130
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0  # seconds before a child that died is started again
_SOUND_SECONDS = 60.0  # a child that lived for so long was well

Say = Callable[[str], None]
Changes = Callable[[], Awaitable[Sequence[str]]]


@dataclass(slots=True)
class Parent:
    """Keeps so many workers going.

    Attributes:
        command: gives the command line of a child, by its number from 0.
        until_empty: whether a child that ends well is done, and not started again.
        say: is told what happens to the children.
        changes: waits for changes of the code and names them; each has all children drain and start again.
        first_wait: seconds before a child that died is started again; doubled each time until one lives for long.
    """

    command: Callable[[int], Sequence[str]]
    processes: int
    until_empty: bool = False
    say: Say = print
    changes: Changes | None = None
    first_wait: float = _FIRST_WAIT
    ended: Counter[str] = field(default_factory=Counter[str])
    _children: dict[int, Process] = field(default_factory=dict[int, Process])
    _signals: int = 0
    _code: int = 0
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _fresh: dict[int, asyncio.Event] = field(default_factory=dict[int, asyncio.Event])

    def stop(self) -> None:
        """Have the children drain; the second time, have them stop at once."""
        self._signals += 1
        self._stop.set()
        self._pass_on()

    async def run(self) -> int:
        """Keep the children going until they are done or told to stop, and give the exit code."""
        reloading = None if self.changes is None else asyncio.create_task(self._reload(self.changes))
        try:
            await asyncio.gather(*(self._keep(number) for number in range(self.processes)))
        finally:
            if reloading is not None:
                reloading.cancel()
        return _STOPPED if self._signals > 1 else self._code

    async def _keep(self, number: int) -> None:
        """Keep one child going."""
        fresh = self._fresh[number] = asyncio.Event()
        wait: float | None = 0.0
        while True:
            if wait != 0.0:
                await self._rest(wait, fresh)
            if self._stop.is_set():
                return
            fresh.clear()
            began = asyncio.get_running_loop().time()
            code = await self._one_life(number)
            if self._stop.is_set() or (self.until_empty and code == 0 and not fresh.is_set()):
                return
            if code == DRAINED:
                self.say(f"worker process {number + 1} of {self.processes} has drained, as it was asked to")
                return
            if code == _MISCONFIGURED and self.changes is None:
                self._code = code  # it would be wrong again, and the others with it
                self.stop()
                return
            lived = asyncio.get_running_loop().time() - began
            before = (wait or 0.0) if lived < _SOUND_SECONDS else 0.0
            wait = 0.0 if fresh.is_set() else self._next_wait(code, before)
            if not fresh.is_set():
                self.say(self._ending(number, code, wait))

    async def _one_life(self, number: int) -> int:
        ours, theirs = socket.socketpair()
        with theirs:
            line = theirs.fileno()
            env = {**os.environ, LINE: str(line)}
            child = await start_process(
                *self.command(number), stdin=DEVNULL, pass_fds=[line], env=env, start_new_session=True
            )  # in a session of its own, so that Ctrl-C reaches it through us alone
        self._children[number] = child
        if self._stop.is_set():
            self._pass_on()
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            said = await reader.read()
            code = await child.wait()
        finally:
            writer.close()
            del self._children[number]
        self.ended.update(_counts(said))
        return code

    def _next_wait(self, code: int, before: float) -> float | None:
        """Say how long to wait before a child is started again; None is until the code has changed."""
        if code == _MISCONFIGURED:
            return None
        return 0.0 if code in (0, TOO_LARGE) else min(max(before * 2, self.first_wait), _LONGEST_WAIT)

    async def _rest(self, seconds: float | None, fresh: asyncio.Event) -> None:
        """Wait before a child is started again, but no longer than until the code has changed or all is to stop."""
        waiting = [asyncio.create_task(event.wait()) for event in (self._stop, fresh)]
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()

    async def _reload(self, changes: Changes) -> None:
        while True:
            names = await changes()
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            self.say(f"{names[0]}{more} changed: workers drain and start again")
            for fresh in self._fresh.values():
                fresh.set()
            self._pass_on()

    def _pass_on(self) -> None:
        for child in self._children.values():
            if child.returncode is None:
                child.send_signal(signal.SIGTERM)

    def _ending(self, number: int, code: int, wait: float | None) -> str:
        how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        how = "has drained, since it held too much memory" if code == TOO_LARGE else how
        when = "when the code changes" if wait is None else f"in {wait:g} s" if wait else "now"
        return f"worker process {number + 1} of {self.processes} {how}: it is started again {when}"


def _counts(said: bytes) -> dict[str, int]:
    """Read what a child said in the end of how its runs ended; one that was killed said nothing."""
    try:
        return {str(status): int(count) for status, count in json.loads(said).items()}
    except ValueError:
        return {}
