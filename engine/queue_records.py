"""What the ledger keeps of queues: entries of runs that wait, lanes that take turns, and limits."""

from dataclasses import dataclass
from datetime import UTC, datetime

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""Before anything that a ledger knows of."""


@dataclass(slots=True, kw_only=True)
class QueueEntryRecord:
    """A run that a worker is to take; it is there until the run has come to its end.

    Attributes:
        lane: whose turn it shares with others; lanes take turns.
        priority: the higher, the sooner within its lane.
        version: of the workflow; only a worker that has it takes the run.
        available_at: from when on it may be taken; None while it is worked on or waits for a person.
        resource: what it shares with runs of other lanes, for a limit of its own.
        taken_at: since when it is worked on.
        attempts: how often it was taken.
        deaths: how many processes died that had it.
        release: under which name it was queued; until it begins it is of the version that this stands for.
    """

    run_id: str
    queue: str
    lane: str
    priority: int
    version: str
    enqueued_at: datetime
    available_at: datetime | None
    attempts: int = 0
    deaths: int = 0
    release: str | None = None
    workflow: str = ""
    resource: str | None = None
    taken_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class LaneRecord:
    """A lane of a queue.

    Attributes:
        max_running: how many of its runs may be worked on at once; None is unlimited.
        last_claim_at: when a run of it was taken last; long ago if none ever was.
        starts_per_second: how fast its runs may be taken; None is unlimited.
        next_start_at: when the next may be taken, by that; the longer ago, the more at once.
    """

    queue: str
    lane: str
    began_at: datetime
    max_running: int | None = None
    last_claim_at: datetime | None = NEVER
    starts_per_second: float | None = None
    next_start_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class QueueLimitRecord:
    """How many runs of a queue may be worked on at once, of all lanes together.

    Attributes:
        kind: what they have in common: `workflow` or `resource`.
        name: which.
    """

    queue: str
    kind: str
    name: str
    max_running: int


@dataclass(slots=True, kw_only=True)
class QueueRecord:
    """A queue that somebody has spoken about; others are open.

    Attributes:
        paused_at: since when nothing is taken from it.
    """

    queue: str
    paused_at: datetime | None = None
