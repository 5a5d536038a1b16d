"""What a worker tells a monitor, in the text format of Prometheus."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from engine.errors import StoreError
from engine.operating.call_figures import CallFigures, cumulative
from engine.operating.memory import resident_bytes
from engine.ports import Taken
from engine.reports.queue import LaneRow, lanes_of
from engine.worker import Worker

_TICK_SECONDS = 0.25
_CATCH_UP_SECONDS = 5.0
_LANES_SECONDS = 15.0  # for which figures of lanes are told again, since they are added up over all that is queued

_CALLS = ("operation", "provider", "name", "status")
_TOKENS = ("provider", "model", "kind")
_VERDICTS = ("guardrail", "stage", "action")
Samples = Iterable[tuple[Mapping[str, str], float]]


@dataclass(slots=True)
class Metrics:
    """Gathers the figures of a worker.

    Attributes:
        loop_lag_s: how late the event loop was at the worst, lately.
    """

    worker: Worker
    loop_lag_s: float = 0.0
    calls: CallFigures = field(init=False)
    _lanes: Sequence[LaneRow] = ()
    _lanes_at: float = field(default=float("-inf"))

    def __post_init__(self) -> None:
        self.calls = CallFigures(self.worker.app.ledger)
        told = self.worker.on_end

        def note(taken: Taken, status: str) -> None:
            self.calls.note(taken)
            if told is not None:
                told(taken, status)

        self.worker.on_end = note

    @property
    def is_ready(self) -> bool:
        """Whether the worker takes runs: it is not draining, and its lease holds."""
        ledger = self.worker.app.ledger
        age = ledger.lease_age_s
        return not self.worker.is_draining and age is not None and age < ledger.lease_seconds

    async def watch_loop(self) -> None:
        """Measure how late the event loop is, and add up calls, until cancelled."""
        counted = time.monotonic()
        while True:
            began = time.monotonic()
            await asyncio.sleep(_TICK_SECONDS)
            late = time.monotonic() - began - _TICK_SECONDS
            self.loop_lag_s = max(late, self.loop_lag_s * 0.9)
            if began - counted > _CATCH_UP_SECONDS:  # so that little waits until somebody asks
                counted = began
                with suppress(StoreError):
                    await self.calls.catch_up()

    async def text(self) -> str:
        """Tell all figures; those of lanes are left out while the ledger cannot be read."""
        worker, ledger = self.worker, self.worker.app.ledger
        age = ledger.lease_age_s
        mine = {"worker": ledger.worker_id}
        parts = [
            _metric("claimed_total", "counter", "Runs that were taken.", [(mine, worker.claimed)]),
            _metric(
                "ended_total",
                "counter",
                "Runs that left this worker, by how.",
                [(mine | {"status": status}, count) for status, count in sorted(worker.ended.items())],
            ),
            _metric("in_progress", "gauge", "Runs that are worked on.", [(mine, worker.in_progress)]),
            _metric(
                "fenced_writes_total", "counter", "Writes refused as another has the run.", [(mine, ledger.fenced)]
            ),
            _metric("loop_lag_seconds", "gauge", "How late the event loop was.", [(mine, self.loop_lag_s)]),
            _metric("memory_bytes", "gauge", "Memory that is held.", [(mine, resident_bytes())]),
            _metric("draining", "gauge", "Whether it takes no more.", [(mine, worker.is_draining)]),
        ]
        if age is not None:
            parts.append(_metric("lease_age_seconds", "gauge", "Time since the last beat.", [(mine, age)]))
        return "".join(parts) + await self._of_calls(mine) + await self._of_breakers() + await self._of_lanes()

    async def _of_calls(self, mine: dict[str, str]) -> str:
        with suppress(StoreError):  # what it knew is told
            await self.calls.catch_up()
        found = self.calls
        by_model = [
            (mine | {"provider": provider, "model": model}, (provider, model)) for provider, model in found.nano_usd
        ]
        return (
            _histogram(mine, found)
            + _metric(
                "tokens_total",
                "counter",
                "Tokens, cached ones among the input.",
                [(mine | dict(zip(_TOKENS, of, strict=True)), many) for of, many in sorted(found.tokens.items())],
            )
            + _metric(
                "cost_usd_total", "counter", "Known cost.", [(of, found.nano_usd[key] / 1e9) for of, key in by_model]
            )
            + _metric(
                "calls_of_unknown_cost_total",
                "counter",
                "Calls that are not part of it.",
                [(of, found.unpriced[key]) for of, key in by_model],
            )
            + _metric(
                "guardrail_verdicts_total",
                "counter",
                "What guardrails said.",
                [(mine | dict(zip(_VERDICTS, of, strict=True)), many) for of, many in sorted(found.verdicts.items())],
            )
        )

    async def _of_breakers(self) -> str:
        try:
            known = await self.worker.app.ledger.breakers()
        except StoreError:
            return ""
        samples = [({"target": one.target}, one.state != "closed") for one in known]
        return _metric("breaker_open", "gauge", "Whether a target is left alone, by all processes.", samples)

    async def _of_lanes(self) -> str:
        if time.monotonic() - self._lanes_at > _LANES_SECONDS:
            self._lanes_at = time.monotonic()  # who asks meanwhile is told what was known before
            try:
                self._lanes = [row for row in await lanes_of(self.worker.app.ledger) if row.queue in self.worker.queues]
            except StoreError:
                self._lanes = ()
        named = [({"queue": row.queue, "lane": row.lane}, row) for row in self._lanes]
        return (
            _metric("lane_due", "gauge", "Runs that may be taken now.", [(of, row.due) for of, row in named])
            + _metric("lane_running", "gauge", "Runs worked on anywhere.", [(of, row.running) for of, row in named])
            + _metric(
                "lane_oldest_seconds",
                "gauge",
                "How long the first of them has waited.",
                [(of, row.oldest_s or 0.0) for of, row in named],
            )
        )


def _histogram(mine: dict[str, str], found: CallFigures) -> str:
    """Tell how long calls took, each at most so long as a bound counted with it."""
    name = "flowledger_call_duration_seconds"
    lines = [f"# HELP {name} How long calls took, by what was called and how it ended.", f"# TYPE {name} histogram"]
    for of, histogram in sorted(found.took.items()):
        labels = mine | dict(zip(_CALLS, of, strict=True))
        bounds = cumulative(histogram)
        lines += [f"{name}_bucket{{{_listed(labels | {'le': bound})}}} {many}" for bound, many in bounds]
        lines.append(f"{name}_sum{{{_listed(labels)}}} {histogram.seconds:.15g}")
        lines.append(f"{name}_count{{{_listed(labels)}}} {bounds[-1][1]}")
    return "\n".join(lines) + "\n"


def _metric(name: str, kind: str, says: str, samples: Samples) -> str:
    lines = [f"# HELP flowledger_{name} {says}", f"# TYPE flowledger_{name} {kind}"]
    for labels, value in samples:
        lines.append(f"flowledger_{name}{{{_listed(labels)}}} {float(value):.15g}")
    return "\n".join(lines) + "\n"


def _listed(labels: Mapping[str, str]) -> str:
    return ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
