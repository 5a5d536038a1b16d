"""Hints go out in the background; what fails is tried over a new connection once, and then dropped."""

import asyncio
from collections.abc import Sequence

from engine.dispatch.outgoing import Outgoing
from engine.ports import Hint
from engine.testing import in_virtual_time

ONE, TWO, THREE = (Hint(name, 0, "default", "v") for name in ("one", "two", "three"))


class Line:
    """Takes down what is delivered, once it is open, and fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.delivered: list[list[Hint]] = []
        self.attempts, self._failures, self.is_open = 0, failures, asyncio.Event()

    async def deliver(self, hints: Sequence[Hint]) -> None:
        await self.is_open.wait()
        self.attempts += 1
        if self.attempts <= self._failures:
            raise ConnectionError
        self.delivered.append(list(hints))


def test_what_comes_while_others_are_on_their_way_goes_together():
    async def send() -> Line:
        line = Line()
        outgoing = Outgoing(line.deliver)
        for hint in (ONE, TWO, THREE):
            outgoing.put([hint])
            await asyncio.sleep(0)
        line.is_open.set()
        await outgoing.close()
        return line

    assert in_virtual_time(send()).delivered == [[ONE], [TWO, THREE]]


def test_a_lost_connection_loses_nothing_and_a_server_that_is_down_is_left_alone_for_a_while():
    async def send(failures: int) -> Line:
        line = Line(failures)
        line.is_open.set()
        outgoing = Outgoing(line.deliver)
        for hint, wait in ((ONE, 0.1), (TWO, 2), (THREE, 0)):
            outgoing.put([hint])
            await asyncio.sleep(wait)
        await outgoing.close()
        return line

    assert in_virtual_time(send(failures=1)).delivered == [[ONE], [TWO], [THREE]]
    down = in_virtual_time(send(failures=2))
    assert (down.delivered, down.attempts) == ([[THREE]], 3)


def test_closing_waits_for_a_silent_server_two_seconds_at_the_most():
    async def send() -> float:
        outgoing = Outgoing(Line().deliver)
        outgoing.put([ONE])
        await outgoing.close()
        return asyncio.get_running_loop().time()

    assert in_virtual_time(send()) < 3


def test_an_event_loop_that_has_ended_keeps_no_hint_of_the_next():
    line = Line()
    outgoing = Outgoing(line.deliver)

    async def send(hint: Hint, *, is_open: bool) -> None:
        outgoing.put([hint])
        await asyncio.sleep(0)
        if is_open:
            line.is_open.set()
            await outgoing.close()

    in_virtual_time(send(ONE, is_open=False))
    line.is_open = asyncio.Event()
    in_virtual_time(send(TWO, is_open=True))
    assert line.delivered == [[TWO]]
