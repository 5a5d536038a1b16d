"""A run is written down for a worker to take: its input is checked and guarded here, and no other is ever stored."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from engine.definition.guardrail import Stage
from engine.definition.state import initial_state
from engine.definition.workflow import Workflow
from engine.errors import GuardrailBlocked
from engine.outbox import Outbox
from engine.queue_records import LaneRecord, QueueEntryRecord
from engine.records import Record, RunRecord, RunStatus
from engine.runtime.middleware.guard import guarded
from engine.runtime.origin import Origin
from engine.runtime.provenance import engine_version, git_commit
from engine.runtime.run import Run
from engine.runtime.runner import Runner

DEFAULT_QUEUE = "default"
_AT_ONCE = 200  # runs in one transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlace:
    """Where a run stands in line.

    Attributes:
        lane: whose turn it shares with others; lanes take turns. That of its tenant if not given.
        priority: the higher, the sooner within its lane.
        resource: what it shares with runs of other lanes, which may have a limit of its own.
        at: when it may be taken at the earliest; None is now.
    """

    queue: str = DEFAULT_QUEUE
    lane: str | None = None
    priority: int = 0
    resource: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run that is to be queued: its input, who it is for, and its place in line.

    Attributes:
        key: what makes it the same as another of its workflow and tenant.
        batch_id: the batch that it belongs to.
        schedule: the name of the schedule that queues it.
    """

    given: Mapping[str, Any]
    tenant: str | None = None
    user: str | None = None
    conversation_id: str | None = None
    place: QueuePlace | None = None
    key: str | None = None
    batch_id: str | None = None
    schedule: str | None = None


async def enqueue(
    runner: Runner, workflow: Workflow, requests: Iterable[RunRequest], *, bundle: Mapping[str, Any], release: str
) -> list[RunRecord]:
    """Queue runs, all that fit into a transaction at a time; one whose key was used before is given, not made.

    `release` is the name under which they are queued.

    Raises:
        InputError: an input does not fit the workflow's state; runs in transactions before it are queued.
        StoreError: the database refused.
    """
    records: list[RunRecord] = []
    waiting = iter(requests)
    while some := list(islice(waiting, _AT_ONCE)):
        records += await _enqueue_some(runner, workflow, some, bundle, release)
    return records


async def _enqueue_some(
    runner: Runner, workflow: Workflow, requests: Sequence[RunRequest], bundle: Mapping[str, Any], release: str
) -> list[RunRecord]:
    ids = [_run_id(workflow, request) for request in requests]
    known = {run.run_id: run for run in await runner.ledger.known([run_id for run_id in ids if run_id])}
    made: dict[str, RunRecord] = {}
    rows: list[Record] = []
    records: list[RunRecord] = []
    for request, run_id in zip(requests, ids, strict=True):
        found = known.get(run_id or "") or made.get(run_id or "")
        if found is None:
            found, its_rows = await _queued(runner, workflow, request, bundle, run_id, release)
            made[found.run_id] = found
            rows += its_rows
        records.append(found)
    if rows:
        await runner.ledger.enqueue(rows)
        runner.knows(workflow)
    return records


def _run_id(workflow: Workflow, request: RunRequest) -> str | None:
    """Make the id of a run of its key, so that the same key is the same run, for ever."""
    if request.key is None:
        return None
    return hashlib.sha256("\0".join((workflow.name, request.tenant or "", request.key)).encode()).hexdigest()[:32]


async def _queued(
    runner: Runner,
    workflow: Workflow,
    request: RunRequest,
    bundle: Mapping[str, Any],
    run_id: str | None,
    release: str,
) -> tuple[RunRecord, Sequence[Record]]:
    """Give a run and all that has to be written of it; one whose input is blocked ends here, and is not queued."""
    place, now = request.place or QueuePlace(), runner.clock.now()
    run = _prepared(runner, workflow, request, bundle, run_id)
    record, outbox = run.record, run.outbox
    try:
        entered = await _entered(run, request.given)
    except GuardrailBlocked as error:
        record.status, record.ended_at = RunStatus.BLOCKED, now
        record.error_type, record.error_message = type(error).__name__, run.redacted(str(error))
        return record, [record, *outbox.take_all()]
    record.input_payload = run.keep(dict(entered))
    entry = QueueEntryRecord(
        run_id=record.run_id,
        queue=place.queue,
        lane=_lane(request, place),
        priority=place.priority,
        version=workflow.version,
        workflow=workflow.name,
        resource=place.resource,
        enqueued_at=now,
        available_at=place.at or now,
        release=release,
    )
    lane = LaneRecord(queue=place.queue, lane=entry.lane, began_at=now)
    return record, [record, *outbox.take_all(), lane, entry]


def _prepared(
    runner: Runner, workflow: Workflow, request: RunRequest, bundle: Mapping[str, Any], run_id: str | None
) -> Run:
    """Make a run ready whose input nobody has looked at."""
    origin = Origin(
        tenant=request.tenant,
        user_id=request.user,
        conversation_id=request.conversation_id,
        origin="queue" if request.schedule is None else "schedule",
        engine_version=engine_version(),
        git_commit=git_commit(),
    )
    outbox = Outbox(run_id or runner.clock.new_run_id(), fence=0)
    record = origin.record(workflow, outbox.run_id, RunStatus.QUEUED, runner.clock.now())
    record.fence, record.batch_id, record.schedule = 0, request.batch_id, request.schedule
    return runner.prepare(workflow, record, outbox, bundle, None)


async def _entered(run: Run, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check the input of a run, and give what guardrails leave of it."""
    state = initial_state(run.workflow.state, given)
    entered: Mapping[str, Any] = run.redacted({name: state[name] for name in given})
    if run.workflow.guard_input:
        entered = await guarded(run, run.workflow.guard_input, entered, Stage.RUN_INPUT)
    return entered


async def accepted(
    runner: Runner, workflow: Workflow, request: RunRequest, *, bundle: Mapping[str, Any]
) -> dict[str, Any]:
    """Give the input of a run that is to be queued later, as guardrails leave it; nothing is written.

    Raises:
        InputError: it does not fit the workflow's state.
        GuardrailBlocked: a guardrail says no.
    """
    return dict(await _entered(_prepared(runner, workflow, request, bundle, None), request.given))


def _lane(request: RunRequest, place: QueuePlace) -> str:
    return (request.tenant or "") if place.lane is None else place.lane
