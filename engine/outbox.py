"""What one run has to write: facts that are true by themselves, and steps that commit with what they wrote."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.definition.redaction import Redaction
from engine.payloads import Packer
from engine.records import Record, StepRecord

OUTBOX = "__outbox"
"""Where a run's configuration carries its outbox; LangGraph keeps names that begin so out of what it stores."""

_TEXTS = ("text", "reason")  # of records, besides payloads, and errors that are scrubbed where they are caught


@dataclass(slots=True)
class Staged:
    """What a task wrote, until it is stored, or superseded by the checkpoint that it led to."""

    task: str
    checkpoint: str
    rows: Callable[[], list[Any]]


@dataclass(slots=True)
class Outbox:
    """Gathers the rows of a run until something of it commits; the ledger writes them under the run's fence.

    Attributes:
        fence: what the run's row must still say when anything of it is written.
        facts: rows that may commit with whatever comes first: payloads, calls, verdicts.
        steps: finished steps by the task that ran them; each commits together with what its task wrote.
        is_new: whether the run has no checkpoint yet.
        staged: what tasks wrote lately.
        stored: checkpoints for which something that tasks wrote is stored.
        held: makes the rows of a checkpoint that need not be stored unless something comes to depend on it.
        holds_first: whether these are of the first, which the input of the run can stand for.
        has_checkpoint: whether one is stored.
        is_queued: whether the run came through a queue, which has to hear of its end.
        has_blobs: whether a checkpoint may hold what is not JSON.
        values: the channels of the run's last checkpoint.
        redaction: what takes out of values and texts what must not be stored; None where nothing does.
        channels: how each channel's latest value was encoded, by namespace and name.
    """

    run_id: str
    fence: int = 1
    is_new: bool = True
    facts: list[Record] = field(default_factory=list[Record])
    steps: dict[str, StepRecord] = field(default_factory=dict[str, StepRecord])
    staged: list[Staged] = field(default_factory=list[Staged])
    stored: set[str] = field(default_factory=set[str])
    held: Callable[[], list[Any]] | None = None
    holds_first: bool = False
    has_checkpoint: bool = False
    is_queued: bool = False
    has_blobs: bool = False
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    redaction: Redaction | None = None
    channels: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict[tuple[str, str], tuple[int, Any]])
    _packer: Packer = field(default_factory=Packer)

    @property
    def key(self) -> tuple[str, int]:
        """The run and its fence, as the writer asks for them."""
        return self.run_id, self.fence

    def keep(self, value: Any) -> str:
        """Give what stands for a JSON value in a column, and keep the payloads that it needs.

        Raises:
            TypeError, ValueError: the value is not JSON.
        """
        name, payloads = self._packer.name(self.redacted(value))
        self.facts.extend(payloads)
        return name

    def pack(self, value: Any) -> str:
        """Keep a JSON value as a payload, however short, and give its address.

        Raises:
            TypeError, ValueError: the value is not JSON.
        """
        address, payloads = self._packer.pack(self.redacted(value))
        self.facts.extend(payloads)
        return address

    def add(self, records: Iterable[Record]) -> None:
        """Add facts."""
        self.facts.extend(records)

    def take(self, tasks: Iterable[str] = ()) -> list[Record]:
        """Give what is to be written now: every fact, and the steps of these tasks."""
        taken: list[Record] = self.facts
        self.facts = []
        taken.extend(self.steps.pop(task) for task in tasks if task in self.steps)
        if self.redaction is not None:
            for record in taken:
                self._redact(record, self.redaction)
        return taken

    def redacted(self, value: Any) -> Any:
        """Give JSON without what the app redacts."""
        return value if self.redaction is None else self.redaction.value(value)

    @staticmethod
    def _redact(record: Record, redaction: Redaction) -> None:
        for name in _TEXTS:
            if said := getattr(record, name, None):
                setattr(record, name, redaction.text(said))

    def release(self) -> list[Any]:
        """Give the rows that were held back; they are to be written now, with the facts that making them adds."""
        if self.held is None:
            return []
        rows, self.held = self.held(), None
        self.has_checkpoint = True
        return rows

    def take_all(self) -> list[Record]:
        """Give everything; what the tasks wrote is lost, so the run must have ended."""
        return self.take(list(self.steps))
