"""What the runtime asks of the outside: protocols, so that a test or another database can stand in."""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from engine.records import PayloadRecord, Record, RunRecord


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


class Ledger(Protocol):
    """Where runs write down what happens; order is kept, and what was submitted together commits together."""

    def submit(self, records: Iterable[Record]) -> None:
        """Queue records to be written; returns at once."""
        ...

    async def commit(self, records: Iterable[Record] = ()) -> None:
        """Queue records and wait until they and everything submitted before are durable.

        Raises:
            StoreError: the database refused; none of the batch is written.
        """
        ...

    async def finish(self, record: RunRecord) -> None:
        """Write how a run ended over the row it began with, and wait until it is durable."""
        ...

    async def payload(self, sha256: str) -> PayloadRecord | None:
        """Read a payload back."""
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
