"""What a run ended with."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine import errors
from engine.errors import ApprovalRequired, BudgetExceeded, EffectUnknown, EngineError, GuardrailBlocked, RunError
from engine.records import RunRecord, RunStatus
from engine.usage import to_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFault:
    """Why a run did not succeed.

    Attributes:
        type: the class of the error, as in `BudgetExceeded`.
        message: one sentence for a person.
        node: where it happened, if at a node.
        exit_code: what the command line answers with.
    """

    type: str
    message: str
    node: str | None
    exit_code: int

    @classmethod
    def of(cls, record: RunRecord) -> "RunFault | None":
        """Say why a run did not succeed, as its record has it; None where nothing is wrong."""
        if record.error_type is None:
            return None
        known: int = getattr(getattr(errors, record.error_type, None), "exit_code", 1)
        return cls(type=record.error_type, message=record.error_message or "", node=record.error_node, exit_code=known)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run ended with; the ledger holds the rest under `run_id`.

    Attributes:
        output: the fields that the workflow returns, JSON; empty where the run did not succeed.
        cost_usd: what the calls cost; None when the price of one is not known.
        duration_s: seconds from start to end.
    """

    run_id: str
    workflow: str
    version: str
    status: RunStatus
    output: dict[str, Any]
    error: RunFault | None
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal | None
    steps: int
    calls: int
    duration_s: float

    @classmethod
    def of(cls, record: RunRecord, output: dict[str, Any]) -> "RunResult":
        """Make the result of a run from its record, and from what its output payload says."""
        return cls(
            run_id=record.run_id,
            workflow=record.workflow,
            version=record.version,
            status=record.status,
            output=output,
            error=RunFault.of(record),
            input_tokens=record.usage_input_tokens,
            output_tokens=record.usage_output_tokens,
            cost_usd=to_usd(record.cost_nano_usd),
            steps=record.steps,
            calls=record.calls,
            duration_s=(record.duration_ns or 0) / 1e9,
        )

    def raise_for_status(self) -> "RunResult":
        """Give the result of a run that succeeded.

        Raises:
            RunError: the run ended otherwise, or waits for a person; the message says how and why.
        """
        if self.error is not None:
            raise RunError(f"run {self.run_id} {self.status}: {self.error.message}")
        if self.status is RunStatus.WAITING:
            raise RunError(f"run {self.run_id} waits for a person: `flowledger approve {self.run_id}`")
        return self

    def to_json(self) -> dict[str, Any]:
        """Give the object that `flowledger run --json` prints."""
        fault = self.error
        return {
            "run_id": self.run_id,
            "workflow": self.workflow,
            "version": self.version,
            "status": str(self.status),
            "output": self.output,
            "error": None if fault is None else {"type": fault.type, "message": fault.message, "node": fault.node},
            "usage": {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens},
            "cost_usd": None if self.cost_usd is None else f"{self.cost_usd:f}",
            "steps": self.steps,
            "calls": self.calls,
            "duration_s": round(self.duration_s, 6),
        }


def status_of(error: EngineError) -> RunStatus:
    """Say how a run that met this error has ended."""
    if isinstance(error, ApprovalRequired | EffectUnknown):
        return RunStatus.NEEDS_REVIEW
    if isinstance(error, GuardrailBlocked):
        return RunStatus.BLOCKED
    return RunStatus.BUDGET_EXCEEDED if isinstance(error, BudgetExceeded) else RunStatus.FAILED
