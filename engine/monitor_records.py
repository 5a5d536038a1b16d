"""What the ledger keeps of monitoring: runs that are sampled, and alarms with what became of them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True, kw_only=True)
class SamplingRecord:
    """How far the runs of a workflow were looked through.

    Attributes:
        place: runs that began before were seen.
        claimed_until: until when one worker sees to it alone.
    """

    workflow: str
    place: datetime
    next_at: datetime
    claimed_until: datetime | None = None


@dataclass(slots=True, kw_only=True)
class SampleRecord:
    """A run that may be scored; it is there once, whoever saw it.

    Attributes:
        state: pending until the run has ended, then scored or, where no evaluator could say anything, failed.
        stratum: which rule drew it, and `rate` with which chance.
        attempts: how often somebody began to score it.
        trouble: why an evaluator has said nothing.
    """

    run_id: str
    workflow: str
    state: str
    began_at: datetime
    stratum: str | None = None
    rate: float | None = None
    attempts: int = 0
    scored_at: datetime | None = None
    trouble: str | None = None


@dataclass(slots=True, kw_only=True)
class AlarmRecord:
    """How an alarm stands.

    Attributes:
        status: ok, raised or no data.
        number: of its last event; the next one has the next number, so that it is written once.
        low: where the value lies, from here, and to `high`; None where nothing bounds it.
        many: how many runs, calls or scores the value is made of.
        next_at: when it is looked at again.
        trouble: why its metric could not be read.
    """

    name: str
    status: str
    number: int
    next_at: datetime
    since: datetime | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    many: int = 0
    checked_at: datetime | None = None
    claimed_until: datetime | None = None
    silenced_until: datetime | None = None
    trouble: str | None = None


@dataclass(slots=True, kw_only=True)
class AlarmEventRecord:
    """What happened to an alarm.

    Attributes:
        what: raised, cleared, no data, acknowledged, silenced or unsilenced.
        runs: ids of runs that show it.
        levers: what changed most, as `Lever.to_json` gives it.
        by: who said it, where a person did.
    """

    alarm: str
    number: int
    what: str
    at: datetime
    metric: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    many: int = 0
    runs: list[Any] = field(default_factory=list[Any])
    levers: list[Any] = field(default_factory=list[Any])
    by: str | None = None
    note: str | None = None


@dataclass(slots=True, kw_only=True)
class DeliveryRecord:
    """An event on its way to a sink.

    Attributes:
        sink: its place among those of the alarm, and what it is, without addresses that let anybody in.
        next_at: when it is tried; None when it has arrived, or nobody tries any more.
        trouble: why it did not arrive at the last attempt.
    """

    alarm: str
    number: int
    sink: str
    attempts: int
    next_at: datetime | None
    delivered_at: datetime | None = None
    trouble: str | None = None
