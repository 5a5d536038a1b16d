"""What the runtime asks of the outside: protocols, so that a test or another database can stand in."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from engine.definition.conversation import Conversation, Turn
from engine.outbox import Outbox
from engine.records import (
    BreakerRecord,
    CacheEntryRecord,
    CallRecord,
    QuestionRecord,
    Record,
    RunRecord,
    StepRecord,
    VerdictRecord,
)


class Clock(Protocol):
    """Time, ids, chance and sleep, so that tests own the clock and replays are exact."""

    def now(self) -> datetime:
        """Tell the time, aware and in UTC."""
        ...

    def monotonic_ns(self) -> int:
        """Count nanoseconds; only differences mean something."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        ...

    def new_run_id(self) -> str:
        """Make an id of 32 hex digits that sorts by time (uuid7); it serves as the trace id."""
        ...

    def new_id(self) -> str:
        """Make an id of 16 hex digits; it serves as the span id."""
        ...

    def random(self) -> float:
        """Draw a number from 0 (inclusive) to 1 (exclusive)."""
        ...


@dataclass(frozen=True, slots=True)
class Taken:
    """A run that goes on: its row under the new fence, and what it has done so far.

    Attributes:
        is_queued: whether it came through a queue, which has to hear of its end.
        has_begun: whether a process has had it before.
        lane: its queue and its lane there, of one that came through a queue.
    """

    record: RunRecord
    steps: Sequence[StepRecord] = ()
    calls: Sequence[CallRecord] = ()
    questions: Sequence[QuestionRecord] = ()
    is_queued: bool = False
    has_begun: bool = False
    lane: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendWindow:
    """A limit of whatever it is for.

    Attributes:
        key: names the limit and who it is for, as in `tenant:acme:1d`.
        seconds: how long a window is; they are aligned to 1970 in UTC.
        nano_usd: what may be spent in one.
    """

    key: str
    seconds: int
    nano_usd: int

    def begins(self, now: datetime) -> datetime:
        """Say when the window began that a moment falls into."""
        past = int(now.timestamp()) // self.seconds * self.seconds
        return datetime.fromtimestamp(past, UTC)

    def ends(self, now: datetime) -> datetime:
        """Say when the next begins."""
        return self.begins(now) + timedelta(seconds=self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRefused:
    """A window that has not enough left."""

    window: SpendWindow
    left_nano_usd: int


@dataclass(frozen=True, slots=True)
class Hint:
    """Word that a run may be taken. It may be late, doubled or lost: what is so stands in the ledger.

    Attributes:
        fence: the run's, so that two hints of the same moment can be told for one; below 0 for a moment of its queue.
        version: of its workflow.
    """

    run_id: str
    fence: int
    queue: str
    version: str


class Ear(Protocol):
    """What a worker gives to a dispatcher, to be told that there is something to take."""

    @property
    def queues(self) -> Collection[str]:
        """The queues that it takes from."""
        ...

    @property
    def peers(self) -> int:
        """How many workers there are, about."""
        ...

    hears: bool
    """Whether the dispatcher is heard just now, whoever queues a run; a dispatcher that cannot say leaves it."""

    def takes(self, hint: Hint) -> bool:
        """Say whether a run is one that it may take."""
        ...

    async def room(self) -> int:
        """Wait until it has room for a run, and say for how many."""
        ...

    async def look(self) -> bool:
        """Have it look for runs now, and say, when it has, whether it had room for any."""
        ...


class Dispatcher(Protocol):
    """Tells workers that runs may be taken, and decides nothing: workers look at the ledger by themselves, too."""

    def send(self, hints: Sequence[Hint]) -> None:
        """Say that runs may be taken, once that is durable; returns at once, and never fails."""
        ...

    async def listen(self, ear: Ear) -> None:
        """Have a worker look whenever it may find something, until cancelled; mends itself whatever happens."""
        ...

    async def close(self) -> None:
        """Send what waits, unless that takes long, and close the connections; what is sent later opens them anew."""
        ...


class Ledger(Protocol):
    """Where a run begins, writes down what happens under its fence, changes hands and ends; order is kept."""

    @property
    def checkpoints(self) -> Any:
        """LangGraph's checkpointer over the same writer."""
        ...

    async def run(self, run_id: str) -> RunRecord:
        """Give a run.

        Raises:
            InputError: there is none of this id.
        """
        ...

    async def verdicts(self, run_id: str) -> Sequence[VerdictRecord]:
        """Give what guardrails said in a run, in order."""
        ...

    async def admit(self, record: RunRecord, outbox: Outbox, cancel: Callable[[], None]) -> None:
        """Write down that a run begins, with all that its outbox holds; from now on this process has it.

        `cancel` is called, from another thread, when somebody asks for the end of the run.

        Raises:
            StoreError: the database refused; the run has not begun.
        """
        ...

    async def write(self, outbox: Outbox) -> None:
        """Write what is true of a run by now, and wait until it is durable.

        Raises:
            LeaseLost: the run has gone to another process.
            StoreError: the database refused.
        """
        ...

    async def finish(self, record: RunRecord, outbox: Outbox, *, again_at: datetime | None = None) -> None:
        """Write how a run ended, with all that its outbox holds; this process has it no longer.

        `again_at` is when a worker may take it again, if it came through a queue and has not come to its end.

        Raises:
            LeaseLost: the run has gone to another process.
            StoreError: the database refused.
        """
        ...

    def hold(self, run_id: str, cancel: Callable[[], None]) -> None:
        """Say what ends a run that was claimed, when somebody asks for its end."""
        ...

    def let_go(self, outbox: Outbox) -> None:
        """Have a run no longer, and write nothing: another process has it."""
        ...

    async def cache_entry(self, key: str, now: datetime) -> CacheEntryRecord | None:
        """Give what is kept under a key, unless its time is over."""
        ...

    async def nearest_cache_entry(
        self, group: str, vector: str, at_least: float, now: datetime
    ) -> tuple[CacheEntryRecord, float] | None:
        """Give what was made for the text of a group that is most alike, and how alike it is, if that is enough."""
        ...

    async def workers_alive(self) -> int:
        """Count the processes that live and run runs on this ledger, or are there to."""
        ...

    async def allot(
        self, windows: Sequence[SpendWindow], run_id: str, needed: int, wanted: int, now: datetime
    ) -> dict[str, int] | WindowRefused:
        """Hold what a run needs of every window, or of none, and say what it may spend in all, by the window's key.

        `needed` is what it must be able to spend, what it has spent before included, and `wanted` what it would rather
        have, in nano-USD.
        """
        ...

    async def settle(self, run_id: str) -> None:
        """Settle what a run was charged, and let go of what it held of windows."""
        ...

    async def breakers(self) -> Sequence[BreakerRecord]:
        """Give what all processes know of the targets of calls."""
        ...

    async def begin_probe(self, target: str, now: datetime, until: datetime) -> bool:
        """Say whether this process may try a target that is left alone; until then nobody else may."""
        ...

    async def known(self, run_ids: Sequence[str]) -> Sequence[RunRecord]:
        """Give those runs of these ids that there are."""
        ...

    async def enqueue(self, rows: Iterable[Record]) -> None:
        """Write runs down for workers to take: all of them, or none.

        Raises:
            RunBusy: one of them is there already.
            StoreError: the database refused.
        """
        ...

    async def take(
        self, run_id: str, now: datetime, cancel: Callable[[], None], *, force: bool = False, budget: str | None = None
    ) -> Taken:
        """Take a run that is not finished, to go on with it here; `budget` is JSON, what it may spend from now on.

        Raises:
            InputError: the run has come to its end.
            RunBusy: a living process has it, and `force` was not said.
        """
        ...

    async def value(self, name: str) -> Any:
        """Give the JSON value that a column names, by its address or in place.

        Raises:
            StoreError: it is not there.
        """
        ...

    async def turns(
        self, run: RunRecord, conversation: Conversation, last: int, *, inside: str | None = None
    ) -> Sequence[Turn]:
        """Give the newest turns that the conversation of a run had when it began, the oldest first.

        `inside` is the full name of a step: each turn tells what that step wrote in its run.

        Raises:
            StoreError: a text is not there any more.
        """
        ...


class IndexReport(Protocol):
    """What indexing a folder did: counts of documents and pieces."""

    collection: str
    added: int
    changed: int
    removed: int
    unchanged: int
    passages: int
    skipped: list[tuple[str, str]]
    version: str

    def to_json(self) -> dict[str, Any]:
        """Give the report as JSON."""
        ...


@runtime_checkable
class Indexer(Protocol):
    """Builds or refreshes a named collection of documents from a folder."""

    def __call__(
        self, folder: Path, collection: str, *, on_progress: Callable[[int, int, str], None] | None = None
    ) -> IndexReport:
        """Index the folder; `on_progress` is told (done, total, document)."""
        ...
