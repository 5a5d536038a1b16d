"""What a worker tells a monitor, in the text format of Prometheus."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from engine.errors import StoreError
from engine.operating.memory import resident_bytes
from engine.reports.queue import LaneRow, lanes_of
from engine.store.lease import LEASE_SECONDS
from engine.worker import Worker

_TICK_SECONDS = 0.25
_LANES_SECONDS = 15.0  # for which figures of lanes are told again, since they are added up over all that is queued

Samples = Iterable[tuple[Mapping[str, str], float]]


@dataclass(slots=True)
class Metrics:
    """Gathers the figures of a worker.

    Attributes:
        loop_lag_s: how late the event loop was at the worst, lately.
    """

    worker: Worker
    loop_lag_s: float = 0.0
    _lanes: Sequence[LaneRow] = ()
    _lanes_at: float = field(default=float("-inf"))

    @property
    def is_ready(self) -> bool:
        """Whether the worker takes runs: it is not draining, and its lease holds."""
        age = self.worker.app.ledger.lease_age_s
        return not self.worker.is_draining and age is not None and age < LEASE_SECONDS

    async def watch_loop(self) -> None:
        """Measure how late the event loop is, until cancelled; a long step that never awaits shows here."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(_TICK_SECONDS)
            late = time.monotonic() - began - _TICK_SECONDS
            self.loop_lag_s = max(late, self.loop_lag_s * 0.9)

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
        return "".join(parts) + await self._of_lanes()

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


def _metric(name: str, kind: str, says: str, samples: Samples) -> str:
    lines = [f"# HELP flowledger_{name} {says}", f"# TYPE flowledger_{name} {kind}"]
    for labels, value in samples:
        listed = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        lines.append(f"flowledger_{name}{{{listed}}} {float(value):g}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
