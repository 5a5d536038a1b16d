"""What stands in the ledger of a run after everything, beside what the witness saw of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.app import App
from engine.chaos.life import standing
from engine.chaos.witness import Seen
from engine.records import CallRecord, RunRecord, RunStatus, StepRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """One run, seen from the ledger and from outside it.

    Attributes:
        record: its row; None if there is none.
        output: what it returned.
        has_checkpoint: whether a checkpoint of it is left.
        keeps_checkpoints: whether one may be left although it has succeeded.
        broke: what was raised in place of an end, the last time.
    """

    run_id: str
    record: RunRecord | None
    steps: Sequence[StepRecord] = ()
    calls: Sequence[CallRecord] = ()
    seen: Sequence[Seen] = ()
    output: Mapping[str, Any] = field(default_factory=dict[str, Any])
    has_checkpoint: bool = False
    keeps_checkpoints: bool = False
    broke: str = ""

    @property
    def path(self) -> list[tuple[str, int]]:
        """The visits that came to an end, whichever way, in an order that parallel ways do not change."""
        return sorted((step.node_name, step.visit) for step in self.steps if is_done(step))


def is_done(step: StepRecord) -> bool:
    """Say whether a step came to its end: it wrote something, or its fallback took over."""
    return step.status == "ok" or step.fallback_to is not None


async def gather(
    app: App, run_ids: Iterable[str], seen: Iterable[Seen], broke: Mapping[str, str] | None = None
) -> list[RunFacts]:
    """Read what the ledger says of runs, and put what was seen of each beside it."""
    by_run: dict[str, list[Seen]] = {}
    for one in seen:
        by_run.setdefault(one.run, []).append(one)
    async with app:
        return [await _facts(app, run_id, by_run.get(run_id, []), (broke or {}).get(run_id, "")) for run_id in run_ids]


async def _facts(app: App, run_id: str, seen: Sequence[Seen], broke: str) -> RunFacts:
    ledger, record = app.ledger, await standing(app, run_id)
    if record is None:
        return RunFacts(run_id=run_id, record=None, seen=seen, broke=broke)
    returned = record.status is RunStatus.SUCCEEDED and record.output_payload is not None
    left = await ledger.checkpoints.aget_tuple({"configurable": {"thread_id": run_id}})
    return RunFacts(
        run_id=run_id,
        record=record,
        steps=await ledger.steps(run_id),
        calls=await ledger.calls(run_id),
        seen=seen,
        output=await ledger.value(record.output_payload or "") if returned else {},
        has_checkpoint=left is not None,
        keeps_checkpoints=app.keep_checkpoints == "all",
        broke=broke,
    )
