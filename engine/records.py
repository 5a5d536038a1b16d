"""What the ledger keeps: one record a row; the names follow OpenTelemetry's GenAI conventions with underscores.

Times are aware UTC datetimes, durations nanoseconds, money nano-USD; None is "unknown", never 0.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class RunStatus(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    BLOCKED = "blocked"
    BUDGET_EXCEEDED = "budget_exceeded"
    NEEDS_REVIEW = "needs_review"
    CANCELLED = "cancelled"


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
    """One run of a workflow."""

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


@dataclass(slots=True, kw_only=True)
class StepRecord:
    """One visit of a node."""

    step_id: str
    run_id: str
    seq: int
    node_name: str
    node_kind: str
    visit: int
    started_at: datetime
    status: str = "running"
    duration_ns: int | None = None
    cached: bool = False
    goto: str | None = None
    fallback_to: str | None = None
    input_payload: str | None = None
    update_payload: str | None = None
    error_type: str | None = None
    error_message: str | None = None


@dataclass(slots=True, kw_only=True)
class CallRecord:
    """One attempt of one model, tool or retriever request."""

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
class OutcomeRecord:
    """What became of a run in the world, said during the run or long after."""

    run_id: str
    name: str
    source: str
    created_at: datetime
    success: bool | None = None
    value: float | None = None
    note: str | None = None


Record = PayloadRecord | VersionRecord | RunRecord | StepRecord | CallRecord | VerdictRecord | OutcomeRecord
