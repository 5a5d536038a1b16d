"""A tape as a file: one recorded run as readable JSON, redacted, that is played where no ledger has the run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from types import UnionType
from typing import Any, cast, get_args, get_type_hints

from engine.definition.guardrail import Guardrail, redacted
from engine.errors import InputError, why_not
from engine.payloads import canonical, digest
from engine.records import CallRecord, QuestionRecord, RunRecord, RunStatus, StepRecord
from engine.store.ledger import SqlLedger

FORMAT = 1
SUFFIX = ".tape.json"

_RUN = ("workflow", "version", "status", "started_at", "error_type", "error_message", "error_node", "budget_payload")
_PAYLOAD = "_payload"
_STEP_VALUES = ("update_payload",)  # what a step read is worked out again
_NOT_TOLD = frozenset({"run_id", "claimed_at", "price_catalogue_id", "response_id", "idempotency_key", "input_payload"})
Row = RunRecord | StepRecord | CallRecord | QuestionRecord


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run with all that a replay needs of it; values stand in place of the addresses of payloads.

    Attributes:
        models: who played which role: {role: [{provider, model, params}]}.
    """

    run: RunRecord
    steps: Sequence[StepRecord]
    calls: Sequence[CallRecord]
    questions: Sequence[QuestionRecord]
    models: Mapping[str, Sequence[Mapping[str, Any]]]

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON, with a hash of the rest; the same run gives the same JSON each time."""
        plain: dict[str, Any] = {
            "tape": FORMAT,
            **{name: value for name, value in _told(self.run).items() if name in _RUN},
            "input": json.loads(self.run.input_payload or "{}"),
            "output": None if self.run.output_payload is None else json.loads(self.run.output_payload),
            "models": self.models,
            "steps": [_told(step) for step in self.steps],
            "calls": [_told(call) for call in self.calls],
            "questions": [_told(question) for question in self.questions],
        }
        return plain | {"sha256": digest(plain)}

    @classmethod
    def read(cls, path: Path) -> "RecordedRun":
        """Read a tape from a file.

        Raises:
            InputError: the file cannot be read, is no tape, or was changed by hand.
        """
        try:
            plain: Any = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ValueError) as error:
            raise InputError(f"the tape {path} cannot be read: {why_not(error)}") from error
        if not isinstance(plain, dict) or cast("dict[str, Any]", plain).get("tape") != FORMAT:
            raise InputError(f"{path} is no tape of this flowledger: `flowledger tape export RUN` writes one")
        said = cast("dict[str, Any]", plain)
        if said.pop("sha256", None) != digest(said):
            raise InputError(f"the tape {path} was changed since it was exported: export the run again")
        return cls._of(said)

    @classmethod
    def _of(cls, said: Mapping[str, Any]) -> "RecordedRun":
        run_id = "0" * 32
        run = _row(RunRecord, {**{name: said[name] for name in _RUN if name in said}, "run_id": run_id})
        run.status = RunStatus(run.status)
        run.input_payload = canonical(said["input"])
        run.output_payload = None if said["output"] is None else canonical(said["output"])
        run.budget_payload = said.get("budget_payload") and canonical(said["budget_payload"])
        steps, calls, questions = (
            [_row(kind, {**one, "run_id": run_id}) for one in said[name]]
            for kind, name in ((StepRecord, "steps"), (CallRecord, "calls"), (QuestionRecord, "questions"))
        )
        return cls(run, steps, calls, questions, said["models"])


async def recorded_run(ledger: SqlLedger, run_id: str, redact: Sequence[Guardrail] = ()) -> RecordedRun:
    """Read a run off the ledger, redacted; what was asked is hashed anew, so that it can still be found.

    Raises:
        InputError: there is no such run, or it has no input.
    """
    run = await ledger.run(run_id)
    if run.input_payload is None:
        raise InputError(f"the run {run.run_id} was refused before it began: there is nothing to replay")
    bundle: dict[str, Any] = {} if run.bundle_payload is None else await ledger.value(run.bundle_payload)
    found: list[Row] = [run, *await ledger.steps(run.run_id), *await ledger.calls(run.run_id)]
    found += await ledger.questions(run.run_id)
    for row in found:
        for name in (one.name for one in fields(row) if one.name.endswith(_PAYLOAD)):
            address = getattr(row, name)
            is_told = not isinstance(row, StepRecord) or name in _STEP_VALUES
            value = await ledger.value(address) if address and is_told else None
            setattr(row, name, None if value is None else canonical((await redacted(value, redact))[0]))
        if isinstance(row, CallRecord) and row.request_payload is not None and redact:
            row.request_hash = digest(json.loads(row.request_payload))
        for name in ("error_message", "text", "reason"):
            if said := getattr(row, name, None):
                setattr(row, name, (await redacted(said, redact))[0])
    return RecordedRun(
        run,
        [row for row in found if isinstance(row, StepRecord)],
        [row for row in found if isinstance(row, CallRecord)],
        [row for row in found if isinstance(row, QuestionRecord)],
        bundle.get("models", {}),
    )


def _told(row: Row) -> dict[str, Any]:
    """Give what is not as it always is, times as text and values as they are."""
    told: dict[str, Any] = {}
    for field in fields(row):
        value = getattr(row, field.name)
        if value is None or value == field.default or field.name in _NOT_TOLD:
            continue
        if field.name.endswith(_PAYLOAD):
            value = json.loads(value)
        told[field.name] = value.isoformat() if isinstance(value, datetime) else value
    return told


def _row(kind: type[Any], said: Mapping[str, Any]) -> Any:
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, value in said.items():
        hint = hints[name]
        kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        read = canonical(value) if name.endswith(_PAYLOAD) else value
        values[name] = datetime.fromisoformat(value) if datetime in kinds else read
    return kind(**values)
