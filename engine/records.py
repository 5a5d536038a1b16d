"""What the ledger keeps: one record a row; the names follow OpenTelemetry's GenAI conventions with underscores.

Times are aware UTC datetimes, durations nanoseconds, money nano-USD; None is "unknown", never 0.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from engine.queue_records import LaneRecord, QueueEntryRecord


class RunStatus(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    BLOCKED = "blocked"
    BUDGET_EXCEEDED = "budget_exceeded"
    NEEDS_REVIEW = "needs_review"
    WAITING = "waiting"
    CANCELLED = "cancelled"
    DEAD = "dead"


@dataclass(slots=True, kw_only=True)
class PayloadRecord:
    """A piece of JSON text, stored once under the sha256 of its content."""

    sha256: str
    content: str


@dataclass(slots=True, kw_only=True)
class VersionRecord:
    """A version of a workflow: its definition and the bundle that runs pin."""

    version: str
    workflow: str
    definition: str
    created_at: datetime


@dataclass(slots=True, kw_only=True)
class RunRecord:
    """One run of a workflow.

    Attributes:
        duration_ns: the time that it was worked on, over every process that had it.
        fence: rises each time the run changes hands; who holds an older one can write nothing.
        worker_id: the process that has the run, or had it last.
        claimed_at: when that process took it.
        cancel_requested_at: when somebody asked for its end.
        budget_payload: the budget that it was given when it was resumed, if not the workflow's.
        batch_id: the batch that it was queued with, and `schedule` the schedule that queued it.
    """

    run_id: str
    workflow: str
    version: str
    status: RunStatus
    started_at: datetime
    ended_at: datetime | None = None
    duration_ns: int | None = None
    input_payload: str | None = None
    output_payload: str | None = None
    bundle_payload: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    error_node: str | None = None
    origin: str = "run"
    parent_run_id: str | None = None
    tenant: str | None = None
    user_id: str | None = None
    conversation_id: str | None = None
    engine_version: str = ""
    git_commit: str | None = None
    steps: int = 0
    calls: int = 0
    usage_input_tokens: int = 0
    usage_output_tokens: int = 0
    cost_nano_usd: int | None = None
    fence: int = 1
    worker_id: str | None = None
    claimed_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    budget_payload: str | None = None
    batch_id: str | None = None
    schedule: str | None = None


@dataclass(slots=True, kw_only=True)
class WorkerRecord:
    """A process that runs runs; its lease holds as long as it keeps beating.

    Attributes:
        drain_requested_at: when somebody asked it to take no more.
    """

    worker_id: str
    host: str
    process_id: int
    started_at: datetime
    beat_at: datetime
    drain_requested_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class CacheEntryRecord:
    """What a node wrote, kept to be used again.

    Attributes:
        cache_key: the sha256 of all that it depends on: the node with its code and prompt, models, tenant, inputs.
        saved_nano_usd: what making it was charged.
        made_by_run_id: the run that made it.
        group_key: the same without the text that may differ, where texts that are nearly the same count as one.
        vector: the direction of that text, float32 in base64.
    """

    cache_key: str
    workflow: str
    node_name: str
    tenant: str | None
    update_payload: str
    saved_nano_usd: int
    saved_tokens: int
    made_by_run_id: str
    created_at: datetime
    expires_at: datetime
    group_key: str | None = None
    vector: str | None = None


@dataclass(slots=True)
class BreakerRecord:
    """What is known of a target over all processes; one that nothing is known of is closed.

    Attributes:
        state: closed or open.
        reason: what was too much, as in "failed 5 times in a row".
        probe_until: until when no other process tries it: it is left alone, or one tries it.
    """

    target: str
    state: str
    changed_at: datetime | None = None
    reason: str = ""
    probe_until: datetime | None = None


@dataclass(slots=True, kw_only=True)
class StepRecord:
    """One visit of a node.

    Attributes:
        seq: the number of its beginning among the events of the run, and `end_seq` that of its end.
        attempt: counts how often the visit was begun and recorded; a resumed run begins a failed visit again.
        parent_step_id: the step inside which this one ran; None for a node of the run's own workflow.
        item: which item of a list this step is for, counted from 0.
        degraded: what the step did instead of its best, as in `canned`; with a canned answer, the error is its cause.
        routed: the model roles that were asked in turn, where there was a choice, as in "small > large".
        saved_nano_usd: what an answer from the cache had cost when it was made, or what the choice saved.
    """

    step_id: str
    run_id: str
    seq: int
    node_name: str
    node_kind: str
    visit: int
    started_at: datetime
    attempt: int = 1
    status: str = "running"
    duration_ns: int | None = None
    cached: bool = False
    goto: str | None = None
    fallback_to: str | None = None
    degraded: str | None = None
    routed: str | None = None
    saved_nano_usd: int | None = None
    saved_tokens: int | None = None
    input_payload: str | None = None
    update_payload: str | None = None
    error_type: str | None = None
    error_message: str | None = None
    parent_step_id: str | None = None
    item: int | None = None
    end_seq: int | None = None


@dataclass(slots=True, kw_only=True)
class CallRecord:
    """One attempt of one model, tool or retriever request.

    Attributes:
        seq: the number of its beginning among the events of the run, and `end_seq` that of its end.
        status: in_flight while nobody knows the answer, unknown if nobody can; else ok, failed or cancelled.
        step_started_at: when the step first began; a step that runs again goes by the same time.
        tool_name: the tool or runnable; for a model call, the runnable inside which the model was asked.
        diverged_from: the hash of the request that stood in the journal at this place and was another.
        resolution: how an unknown action was settled: by its probe, or by a person (done, retry).
        purpose: what it was made for: answer, reask after an answer was turned down, escalation to a larger model,
            hedge beside an attempt that took long, or what its node says, as summary.
        price_terms: what the catalogue's price goes by besides the model, as in "service_tier=flex".
        waited_ns: how long it waited for room in rate limits; not part of its duration.
    """

    call_id: str
    run_id: str
    step_id: str
    node_name: str
    ordinal: int
    attempt: int
    operation_name: str
    target: str
    started_at: datetime
    request_hash: str
    status: str = "ok"
    duration_ns: int | None = None
    time_to_first_chunk_ns: int | None = None
    provider_name: str | None = None
    request_model: str | None = None
    response_model: str | None = None
    response_id: str | None = None
    finish_reason: str | None = None
    request_max_tokens: int | None = None
    prompt_name: str | None = None
    prompt_version: str | None = None
    tool_name: str | None = None
    tool_effect: str | None = None
    idempotency_key: str | None = None
    retriever_version: str | None = None
    request_payload: str | None = None
    response_payload: str | None = None
    usage_input_tokens: int | None = None
    usage_cache_read_input_tokens: int | None = None
    usage_cache_write_input_tokens: int | None = None
    usage_output_tokens: int | None = None
    usage_reasoning_output_tokens: int | None = None
    cost_nano_usd: int | None = None
    cost_source: str | None = None
    price_catalogue_id: str | None = None
    charged_tokens: int = 0
    charged_nano_usd: int = 0
    error_type: str | None = None
    error_message: str | None = None
    retry_after_s: float | None = None
    step_started_at: datetime | None = None
    diverged_from: str | None = None
    resolution: str | None = None
    seq: int | None = None
    end_seq: int | None = None
    purpose: str | None = None
    waited_ns: int | None = None
    price_terms: str | None = None


@dataclass(slots=True, kw_only=True)
class VerdictRecord:
    """What a guardrail said about one text or value; verdicts that only allow are not kept."""

    run_id: str
    guardrail: str
    stage: str
    action: str
    reason: str
    created_at: datetime
    step_id: str | None = None
    node_name: str | None = None
    path: str = ""
    score: float | None = None
    spans: list[Any] = field(default_factory=list[Any])


@dataclass(slots=True, kw_only=True)
class GuardTimeRecord:
    """How many checks of a guardrail took so long, in one stretch of work on a run.

    Attributes:
        duration_ns: what a check took with its classifier and judge, to two digits, so that few rows say all.
    """

    run_id: str
    guardrail: str
    duration_ns: int
    checks: int


@dataclass(slots=True, kw_only=True)
class QuestionRecord:
    """What a run asks a person, and the answer.

    Attributes:
        kind: approve for an action, ask for a value.
        digest: the sha256 of what the answer is about; an answer to anything else is refused.
        shown_payload: the tool and its arguments, or the fields that are asked about.
        schema_payload: the JSON Schema that an answer fits.
        deadline_at: when the default stands for an answer; None if the run waits for ever.
        default_payload: that answer; None if it counts as a refusal.
        status: open, answered, refused, expired (the default stands), or withdrawn (the run went another way).
        answered_by: who answered, as they said.
    """

    question_id: str
    run_id: str
    step_id: str
    node_name: str
    kind: str
    text: str
    digest: str
    shown_payload: str
    asked_at: datetime
    schema_payload: str | None = None
    deadline_at: datetime | None = None
    default_payload: str | None = None
    status: str = "open"
    answer_payload: str | None = None
    reason: str | None = None
    answered_by: str | None = None
    answered_at: datetime | None = None
    seq: int | None = None


@dataclass(slots=True, kw_only=True)
class EventRecord:
    """What a node told with `ctx.emit`; its number stands among those of the run's other events."""

    run_id: str
    seq: int
    step_id: str
    node_name: str
    name: str
    data_payload: str
    emitted_at: datetime


@dataclass(slots=True, kw_only=True)
class OutcomeRecord:
    """What became of a run in the world, said during the run or long after.

    Attributes:
        idempotency_key: under which it is said once, however often it is asked for.
    """

    run_id: str
    name: str
    source: str
    created_at: datetime
    success: bool | None = None
    value: float | None = None
    note: str | None = None
    idempotency_key: str | None = None


Record = (
    PayloadRecord
    | VersionRecord
    | WorkerRecord
    | QueueEntryRecord
    | BreakerRecord
    | CacheEntryRecord
    | LaneRecord
    | RunRecord
    | StepRecord
    | CallRecord
    | QuestionRecord
    | EventRecord
    | VerdictRecord
    | GuardTimeRecord
    | OutcomeRecord
)
