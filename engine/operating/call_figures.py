"""What the runs of a worker called, added up from the ledger after they left it: the calls themselves pay nothing."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from engine.ports import Taken
from engine.records import CallRecord
from engine.store.ledger import SqlLedger
from engine.store.whole_runs import RunsWanted, WholeRun, read_runs

BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""Seconds, as OpenTelemetry's GenAI conventions advise for the duration of a request."""

_RUNS_AT_ONCE = 100
Labels = tuple[str, str, str, str]
"""Operation, provider, model or tool, and status of calls."""


@dataclass(slots=True)
class Histogram:
    """How many took how long, and all of them together."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.buckets[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds


@dataclass(slots=True)
class CallFigures:
    """Counts since the worker began.

    Attributes:
        took: how long calls took; `tokens` what they read and wrote, by provider, model and kind.
        nano_usd: what they cost as far as that is known, by provider and model; `unpriced` calls of unknown cost.
        verdicts: what guardrails said, by guardrail, stage and action.
    """

    ledger: SqlLedger
    took: dict[Labels, Histogram] = field(default_factory=dict[Labels, Histogram])
    tokens: Counter[tuple[str, str, str]] = field(default_factory=Counter[tuple[str, str, str]])
    nano_usd: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    unpriced: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    verdicts: Counter[tuple[str, str, str]] = field(default_factory=Counter[tuple[str, str, str]])
    _left: dict[str, datetime] = field(default_factory=dict[str, datetime])

    def note(self, taken: Taken) -> None:
        """Remember that a run has left the worker, and since when it had it."""
        run = taken.record
        self._left.setdefault(run.run_id, run.claimed_at or run.started_at)

    async def catch_up(self) -> None:
        """Add up what the runs that left since the last time have called here.

        Raises:
            StoreError: the ledger cannot be read; nothing is forgotten.
        """
        while self._left:
            some = list(self._left)[:_RUNS_AT_ONCE]
            wanted = RunsWanted(run_ids=some)
            found, _ = await self.ledger.read(
                lambda connection, wanted=wanted: read_runs(connection, wanted, "", _RUNS_AT_ONCE, values=False)
            )
            since = {run_id: self._left.pop(run_id) for run_id in some}
            for whole in found:
                self._add(whole, since[whole.run.run_id])

    def _add(self, whole: WholeRun, since: datetime) -> None:
        """Count what happened since; what was before, another worker has counted."""
        for call in whole.calls:
            if call.started_at >= since and call.status != "in_flight" and call.cost_source != "recorded":
                self._add_call(call)
        for verdict in whole.verdicts:
            if verdict.created_at >= since:
                self.verdicts[verdict.guardrail, verdict.stage, verdict.action] += 1

    def _add_call(self, call: CallRecord) -> None:
        provider, model = call.provider_name or "", call.response_model or call.request_model or ""
        labels = (call.operation_name, provider, model or call.tool_name or call.target, call.status)
        self.took.setdefault(labels, Histogram()).add((call.duration_ns or 0) / 1e9)
        if not provider:
            return
        self.tokens[provider, model, "input"] += call.usage_input_tokens or 0
        self.tokens[provider, model, "output"] += call.usage_output_tokens or 0
        self.tokens[provider, model, "cache_read"] += call.usage_cache_read_input_tokens or 0
        self.nano_usd[provider, model] += call.cost_nano_usd or 0
        self.unpriced[provider, model] += call.cost_nano_usd is None


def cumulative(histogram: Histogram) -> Sequence[tuple[str, int]]:
    """Give how many took at the most so long, for each bound."""
    total = 0
    found: list[tuple[str, int]] = []
    for bound, many in zip((*map(str, BUCKETS), "+Inf"), histogram.buckets, strict=True):
        total += many
        found.append((bound, total))
    return found
