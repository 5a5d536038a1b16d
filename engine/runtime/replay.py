"""The events of a run off its ledger: the same as were heard while it ran, but for pieces of text."""

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Protocol

from engine.ports import Clock
from engine.records import CallRecord, EventRecord, QuestionRecord, RunRecord, RunStatus, StepRecord
from engine.runtime.events import Event, Place, RunFinished
from engine.runtime.result import RunResult
from engine.runtime.views import (
    before,
    call_finished,
    call_started,
    custom_event,
    hand_of,
    question_asked,
    run_finished,
    run_started,
    step_finished,
    step_started,
)

_SHORTEST_LOOK, _LONGEST_LOOK = 0.25, 1.0  # seconds between looks at a run that goes on elsewhere


class Rows(Protocol):
    """Where the rows of a run are read."""

    async def run(self, run_id: str) -> RunRecord:
        """Give the run of an id, or of a beginning or end of one."""
        ...

    async def steps(self, run_id: str) -> list[StepRecord]:
        """Give its steps."""
        ...

    async def calls(self, run_id: str) -> list[CallRecord]:
        """Give the attempts of its calls."""
        ...

    async def questions(self, run_id: str) -> list[QuestionRecord]:
        """Give what it has asked people."""
        ...

    async def events(self, run_id: str) -> list[EventRecord]:
        """Give what its nodes have told."""
        ...

    async def value(self, name: str) -> Any:
        """Give the JSON value that a column names."""
        ...


async def follow(
    rows: Rows, run_id: str, after: Place, clock: Clock, is_here: Callable[[], bool] = lambda: False
) -> AsyncGenerator[Event]:
    """Give the events of a run as its rows appear, until it is over, waits for a person, or is worked on here."""
    look = _SHORTEST_LOOK
    while not is_here():
        found = await recorded(rows, run_id)
        look = min(look * 2, _LONGEST_LOOK) if not found or found[-1].place <= after else _SHORTEST_LOOK
        for event in found:
            if event.place > after:
                after = event.place
                yield event
        if found and isinstance(found[-1], RunFinished):
            return
        await clock.sleep(look)


async def recorded(rows: Rows, run_id: str) -> Sequence[Event]:
    """Give the events of a run as far as its ledger has all of them, in order.

    A step is written when it ends. While the run goes on, what follows the beginning of a step that has not ended is
    left out: numbers of one process have no gaps, so a gap is what is still to come. A run that is queued, or whose
    questions all have their answers, goes on; one that nobody has had yet has no events.
    """
    record = await rows.run(run_id)  # first: if it is over now, the rows that follow are all there are
    if record.status is RunStatus.QUEUED and not record.fence:
        return []
    found = sorted(await _events(rows, run_id), key=lambda event: event.seq)
    told = list(_with_starts(record, found))
    if record.status is RunStatus.RUNNING:
        return list(_up_to_gap(told, before(record.fence)))
    if await _goes_on(rows, record):
        return told
    output: dict[str, Any] = {} if record.output_payload is None else await rows.value(record.output_payload)
    last = max(told[-1].seq, before(record.fence) + 1)
    return [*told, run_finished(record, last + 1, RunResult.of(record, output))]


async def _goes_on(rows: Rows, record: RunRecord) -> bool:
    """Say whether a run that nobody works on is to be taken up again without another word."""
    if record.status is not RunStatus.WAITING:
        return record.status is RunStatus.QUEUED
    return not any(asked.status == "open" for asked in await rows.questions(record.run_id))


async def _events(rows: Rows, run_id: str) -> list[Event]:
    """Give what stands in rows; those of an engine that did not number its events are left out."""
    steps = [step for step in await rows.steps(run_id) if step.end_seq is not None]
    calls = [call for call in await rows.calls(run_id) if call.seq is not None]
    asked = [question for question in await rows.questions(run_id) if question.seq is not None]
    return [
        *chain.from_iterable((step_started(step), step_finished(step)) for step in steps),
        *map(call_started, calls),
        *(call_finished(call) for call in calls if call.end_seq is not None),
        *map(question_asked, asked),
        *[custom_event(row, await rows.value(row.data_payload)) for row in await rows.events(run_id)],
    ]


def _with_starts(record: RunRecord, events: Iterable[Event]) -> Iterator[Event]:
    """Put the beginning in front of what each process did; those before the last are known by what they did."""
    hand = 1
    yield run_started(record, 1, record.started_at)
    for event in events:
        if hand_of(event.seq) > hand:
            hand = hand_of(event.seq)
            claimed = record.claimed_at if hand == record.fence else None
            yield run_started(record, before(hand) + 1, claimed or event.at)
        yield event


def _up_to_gap(events: Iterable[Event], last: int) -> Iterator[Event]:
    """Give events until one is missing of those that the process that has the run has numbered."""
    for event in events:
        if event.seq > last + 1:
            return
        last = max(last, event.seq)
        yield event
