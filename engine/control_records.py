"""What the ledger keeps of what people arrange and say: schedules, batches, and who said what to whom."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True, kw_only=True)
class ScheduleRecord:
    """A workflow that is queued whenever its time has come.

    Attributes:
        schedule_id: goes into the ids of its runs; a later schedule of the same name has another.
        cron: five fields, read by the clocks of `zone`.
        given: the input of each run.
        lane: whose turn its runs share; that of its tenant if None.
        catch_up: what is done about ticks that nobody was there for: skip, latest or all.
        most: how many of them are made up for, the newest ones, where all are.
        overlap: whether a run is queued beside one that has not ended: allow or skip.
        next_at: the first tick that nothing has been done about.
        paused_at: since when nothing is queued.
        fired_at: the last tick that something was queued for, and `run_id` that run.
        trouble: why nothing was queued at the last tick, if so.
        claimed_until: until when one worker sees to it alone.
    """

    name: str
    schedule_id: str
    cron: str
    zone: str
    workflow: str
    given: dict[str, Any]
    queue: str
    priority: int
    catch_up: str
    most: int
    overlap: str
    created_at: datetime
    next_at: datetime
    lane: str | None = None
    tenant: str | None = None
    user_id: str | None = None
    paused_at: datetime | None = None
    fired_at: datetime | None = None
    run_id: str | None = None
    trouble: str | None = None
    claimed_until: datetime | None = None


@dataclass(slots=True, kw_only=True)
class BatchRecord:
    """Runs that were queued together.

    Attributes:
        name: how people call it; no two have the same.
        cancelled_at: since when it takes no more runs.
    """

    batch_id: str
    workflow: str
    created_at: datetime
    name: str | None = None
    cancelled_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class ControlEventRecord:
    """What somebody said about runs, queues, schedules, breakers or caches.

    Attributes:
        what: the action, as in "pause queue".
        subject: what it was said about, such as the queue.
        before: what was so before, by name, and `after` what is so since.
        by: who said it, as they called themselves.
    """

    at: datetime
    what: str
    subject: str
    before: dict[str, Any] = field(default_factory=dict[str, Any])
    after: dict[str, Any] = field(default_factory=dict[str, Any])
    by: str | None = None
