"""What the replays of a batch came to together."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from engine.replay_records import BatchReplayRecord, ReplayBatchRecord
from engine.statistics.intervals import Interval, wilson
from engine.usage import to_usd

VERDICTS = ("fixed", "broken", "same", "diverged")


@dataclass(frozen=True, slots=True)
class BatchTable:
    """The batch and a row a run.

    Attributes:
        rows: what became of the runs so far.
    """

    batch: ReplayBatchRecord
    rows: Sequence[BatchReplayRecord]

    @property
    def counts(self) -> dict[str, int]:
        """How many runs there are of each verdict."""
        found = Counter(row.verdict for row in self.rows)
        return {verdict: found[verdict] for verdict in VERDICTS}

    @property
    def left(self) -> int:
        """How many runs were not replayed yet."""
        return len(self.batch.runs) - len(self.rows)

    def share(self, verdict: str) -> Interval:
        """Give where the share of a verdict lies among all such runs (Wilson, 95 %)."""
        return wilson(self.counts[verdict], len(self.rows))

    @property
    def spent_nano_usd(self) -> int | None:
        """What the replays cost; None if a price is not known."""
        amounts = [row.spent_nano_usd for row in self.rows]
        known = [amount for amount in amounts if amount is not None]
        return sum(known) if len(known) == len(amounts) else None

    def total(self, name: str) -> int:
        """Add a column up."""
        return sum(getattr(row, name) for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON; dollars are text, so that nothing is rounded."""
        money = {
            "spent_usd": self.spent_nano_usd,
            "cost_before_usd": self.total("cost_before_nano_usd"),
            "cost_after_usd": self.total("cost_after_nano_usd"),
        }
        return {
            "batch_id": self.batch.batch_id,
            "workflow": self.batch.workflow,
            "about": self.batch.about,
            "runs": len(self.batch.runs),
            "left": self.left,
            "counts": self.counts,
            "shares": {verdict: self.share(verdict).to_json() for verdict in VERDICTS},
            "played": self.total("played"),
            "live": self.total("live"),
            **{name: None if amount is None else f"{to_usd(amount):f}" for name, amount in money.items()},
            "calls_before_s": self.total("calls_before_ns") / 1e9,
            "calls_after_s": self.total("calls_after_ns") / 1e9,
            "replays": [asdict(row) for row in self.rows],
        }
