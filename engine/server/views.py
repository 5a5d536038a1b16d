"""What the HTTP API says of runs, steps, questions and workflows, and what it is told."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt

from engine.definition.workflow import Workflow
from engine.records import OutcomeRecord, QuestionRecord, RunRecord, RunStatus, StepRecord
from engine.runtime.enqueue import DEFAULT_QUEUE
from engine.runtime.result import RunFault
from engine.usage import to_usd

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _moment(value: Any) -> datetime:
    if not (isinstance(value, str) and _RFC_3339.fullmatch(value)):
        raise ValueError("a moment is written like 2026-01-31T08:00:00Z")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("this moment is too far away") from error


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value  # 7.0 is an integer in JSON


Whole = Annotated[StrictInt, BeforeValidator(_whole)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$", strict=True)]
"""A name that people and programs give: without control characters."""


class RunAsked(BaseModel):
    """A run that is to be queued."""

    model_config = ConfigDict(extra="forbid")

    workflow: Name = Field(description="Its name.")
    input: dict[str, Any] = Field(default={}, description="Its input, as the workflow's input_schema says.")
    tenant: Name | None = Field(default=None, description="Who pays; the token's tenant if not given.")
    user: Name | None = Field(default=None, description="Who asks.")
    conversation_id: Name | None = Field(default=None, description="The conversation that the run continues.")
    queue: Name = Field(default=DEFAULT_QUEUE, description="Where it waits for a worker.")
    priority: Whole = Field(default=0, ge=-1000, le=1000, description="The higher, the sooner among the tenant's own.")
    at: Moment | None = Field(default=None, description="When it may be taken at the earliest.")


class Answer(BaseModel):
    """What a person says to a question."""

    model_config = ConfigDict(extra="forbid")

    digest: str = Field(
        min_length=12, max_length=64, pattern="^[0-9a-f]+$", description="The question's, or its beginning."
    )
    answer: Any = Field(default=None, description="What fits the question's schema; none where yes or no is all.")
    refuse: StrictBool = Field(default=False, description="Say no.")
    reason: Name | None = Field(default=None, description="Why, for the run and for the ledger.")
    by: Name | None = Field(default=None, description="Who answers; the name of the token if not given.")


class OutcomeSaid(BaseModel):
    """What became of a run."""

    model_config = ConfigDict(extra="forbid")

    success: StrictBool = Field(description="Whether it did what it was for.")
    value: float | None = Field(
        default=None, allow_inf_nan=False, strict=True, description="What that was worth, in a unit of yours."
    )
    name: Name = Field(default="outcome", description="What was judged, as in resolved.")
    source: Name | None = Field(default=None, description="Who says so; the name of the token if not given.")
    note: Name | None = Field(default=None, description="Why.")


class Fault(BaseModel):
    """Why a run did not succeed."""

    type: str
    message: str
    node: str | None


class RunView(BaseModel):
    """A run as it stands."""

    run_id: str
    workflow: str
    version: str
    status: RunStatus
    tenant: str | None
    user: str | None
    conversation_id: str | None
    started_at: datetime
    ended_at: datetime | None
    duration_s: float = Field(description="For how long it was worked on.")
    input_tokens: int
    output_tokens: int
    cost_usd: str | None = Field(description="Text, so that nothing is rounded; null where a price is not known.")
    steps: int
    calls: int
    error: Fault | None

    @staticmethod
    def fields_of(run: RunRecord) -> dict[str, Any]:
        """Give what a row says of a run."""
        fault, cost = RunFault.of(run), to_usd(run.cost_nano_usd)
        return {
            "run_id": run.run_id,
            "workflow": run.workflow,
            "version": run.version,
            "status": run.status,
            "tenant": run.tenant,
            "user": run.user_id,
            "conversation_id": run.conversation_id,
            "started_at": run.started_at,
            "ended_at": run.ended_at,
            "duration_s": round((run.duration_ns or 0) / 1e9, 6),
            "input_tokens": run.usage_input_tokens,
            "output_tokens": run.usage_output_tokens,
            "cost_usd": None if cost is None else f"{cost:f}",
            "steps": run.steps,
            "calls": run.calls,
            "error": fault and Fault(type=fault.type, message=fault.message, node=fault.node),
        }


class RunWithOutput(RunView):
    """A run as it stands, with what it returned."""

    output: dict[str, Any] | None = Field(description="Null until it has succeeded.")


class RunPage(BaseModel):
    """Some runs, newest first."""

    runs: list[RunView]
    next: str | None = Field(description="The cursor of the next page; null on the last.")


class StepView(BaseModel):
    """One visit of a node."""

    step_id: str
    node: str
    kind: str
    visit: int
    attempt: int
    parent: str | None = Field(description="The step inside which it ran.")
    item: int | None = Field(description="Which item of a list it was for, from 0.")
    status: str
    started_at: datetime
    duration_s: float | None
    cached: bool
    goto: str | None
    fallback_to: str | None
    degraded: str | None
    error: str | None

    @classmethod
    def of(cls, step: StepRecord) -> "StepView":
        """Say what a row says."""
        return cls(
            step_id=step.step_id,
            node=step.node_name,
            kind=step.node_kind,
            visit=step.visit,
            attempt=step.attempt,
            parent=step.parent_step_id,
            item=step.item,
            status=step.status,
            started_at=step.started_at,
            duration_s=None if step.duration_ns is None else round(step.duration_ns / 1e9, 6),
            cached=step.cached,
            goto=step.goto,
            fallback_to=step.fallback_to,
            degraded=step.degraded,
            error=step.error_message,
        )


class StepPage(BaseModel):
    """Some steps of a run, in the order in which they began."""

    steps: list[StepView]
    next: int | None = Field(description="The offset of the next page; null on the last.")


class CostView(BaseModel):
    """What the calls of a node to a model or tool cost."""

    node: str | None
    model: str | None
    calls: int
    failed: int
    input_tokens: int
    output_tokens: int
    unpriced: int = Field(description="Calls whose cost is not known; they are not part of cost_usd.")
    cost_usd: str | None


class RunCost(BaseModel):
    """What a run cost, and on what."""

    run_id: str
    cost_usd: str | None = Field(description="Null where the price of a call is not known.")
    rows: list[CostView]


class QuestionView(BaseModel):
    """What a run waits for a person to answer."""

    question_id: str
    run_id: str
    node: str
    kind: str = Field(description="approve for an action, ask for a value.")
    text: str
    shown: Any = Field(description="What the answer is about, whole.")
    answer_schema: dict[str, Any] | None = Field(description="What an answer has to fit; null: yes or no is all.")
    digest: str = Field(description="What has been seen; an answer that names another is refused.")
    asked_at: datetime
    deadline_at: datetime | None = Field(description="When the default stands for an answer.")
    default: Any

    @classmethod
    def of(cls, asked: QuestionRecord, values: dict[str, Any]) -> "QuestionView":
        """Say what a row says, with the values that it names."""
        return cls(
            question_id=asked.question_id,
            run_id=asked.run_id,
            node=asked.node_name,
            kind=asked.kind,
            text=asked.text,
            shown=values["shown"],
            answer_schema=values["schema"],
            digest=asked.digest,
            asked_at=asked.asked_at,
            deadline_at=asked.deadline_at,
            default=values["default"],
        )


class OutcomeView(BaseModel):
    """What was said of a run."""

    run_id: str
    name: str
    source: str
    success: bool | None
    value: float | None
    note: str | None
    created_at: datetime

    @classmethod
    def of(cls, said: OutcomeRecord) -> "OutcomeView":
        """Say what a row says."""
        return cls(**{name: getattr(said, name) for name in cls.model_fields})


class WorkflowView(BaseModel):
    """A workflow that can be run."""

    name: str
    description: str
    version: str
    input_schema: dict[str, Any] = Field(description="JSON Schema of its input.")

    @classmethod
    def of(cls, workflow: Workflow) -> "WorkflowView":
        """Say what a definition says."""
        return cls(
            name=workflow.name,
            description=workflow.description,
            version=workflow.version,
            input_schema=workflow.state.model_json_schema(),
        )


class Health(BaseModel):
    """Whether the server can do its work."""

    status: str
