"""A trajectory as rows of the ledger: a run of one step, with a call for every message of a model and every tool."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from engine.errors import InputError
from engine.eval_records import IMPORT
from engine.evals.trajectories import Message, Trajectory, usage_of
from engine.payloads import Packer, digest
from engine.records import CallRecord, OutcomeRecord, Record, RunRecord, RunStatus, StepRecord
from engine.runtime.history import MODEL_CALL, TOOL_CALL

NODE = "agent"
"""The node that stands for what the agent did."""

_ROLES = {"assistant": "ai", "user": "human"}


@dataclass(slots=True, kw_only=True)
class Rows:
    """Makes the rows of one trajectory.

    Attributes:
        run_id: 32 hex digits, for the run.
        workflow: the name that the agent goes by, with the version that stands for it.
        now: when it is imported.
    """

    trajectory: Trajectory
    run_id: str
    workflow: str
    version: str
    now: datetime
    _packer: Packer = field(default_factory=Packer)
    _payloads: list[Record] = field(default_factory=list[Record])
    _calls: list[CallRecord] = field(default_factory=list[CallRecord])

    def all(self) -> list[Record]:
        """Give the rows, payloads first: the run and its step, calls, and its outcome if somebody said one.

        Raises:
            InputError: a message is none.
        """
        one, run = self.trajectory, self._run()
        said: list[Any] = []
        answers = {
            str(message.get("tool_call_id")): message for message in one.messages if message.get("role") == "tool"
        }
        for number, message in enumerate(one.messages, 1):
            where = f"task {one.task}, message {number}"
            plain = _plain(message, where)
            if plain["role"] == "ai":
                self._asked(said, message, plain, where)
                for use in plain.get("tool_calls", ()):
                    self._used(use, answers.get(str(use["id"])))
            said.append(plain)
        self._total(run)
        outcome = self._outcome()
        return [*self._payloads, run, self._step(run), *self._calls, *([outcome] if outcome else [])]

    @property
    def began(self) -> datetime:
        """When the run began."""
        return self.trajectory.started_at or self.now

    @property
    def _step_id(self) -> str:
        return digest([self.run_id, NODE])[:16]

    @property
    def _took(self) -> int | None:
        return None if self.trajectory.seconds is None else int(self.trajectory.seconds * 1e9)

    def _keep(self, value: Any) -> str:
        name, payloads = self._packer.name(value)
        self._payloads += payloads
        return name

    def _run(self) -> RunRecord:
        one = self.trajectory
        return RunRecord(
            run_id=self.run_id,
            workflow=self.workflow,
            version=self.version,
            status=RunStatus(one.status),
            started_at=self.began,
            ended_at=self.began + timedelta(seconds=one.seconds or 0),
            duration_ns=self._took,
            input_payload=self._keep(dict(one.case.input)),
            output_payload=self._keep(one.answer),
            error_type=None if one.status == "succeeded" else "Imported",
            error_message=one.error,
            origin=IMPORT,
            tenant=one.tenant,
            user_id=one.user,
            steps=1,
        )

    def _step(self, run: RunRecord) -> StepRecord:
        return StepRecord(
            step_id=self._step_id,
            run_id=self.run_id,
            seq=1,
            node_name=NODE,
            node_kind=IMPORT,
            visit=1,
            started_at=run.started_at,
            status="ok" if run.status is RunStatus.SUCCEEDED else "failed",
            duration_ns=self._took,
            input_payload=run.input_payload,
            update_payload=run.output_payload,
            error_type=run.error_type,
            error_message=run.error_message,
            end_seq=2 * len(self._calls) + 2,
        )

    def _asked(self, said: Sequence[Any], message: Message, plain: Mapping[str, Any], where: str) -> None:
        one = self.trajectory
        usage, nano_usd = usage_of(message, where)
        call = self._call(MODEL_CALL, NODE, {"messages": list(said)}, {**plain, "type": "ai"})
        call.provider_name, call.request_model, call.response_model = one.provider or "unknown", one.model, one.model
        call.cost_nano_usd, call.cost_source = nano_usd, "unknown" if nano_usd is None else IMPORT
        call.charged_nano_usd = nano_usd or 0
        if usage is not None:
            call.usage_input_tokens, call.usage_output_tokens = usage.input_tokens, usage.output_tokens
            call.charged_tokens = usage.input_tokens + usage.output_tokens

    def _used(self, use: Mapping[str, Any], answer: Message | None) -> None:
        content = None if answer is None else _read(answer.get("content"))
        call = self._call(TOOL_CALL, use["name"], {"tool": use["name"], "arguments": use["args"]}, content)
        call.tool_name, call.cost_nano_usd, call.cost_source = use["name"], 0, "not_billed"
        if answer is None:
            call.status, call.response_payload = "cancelled", None
        elif answer.get("status") == "error":
            call.status, call.error_type, call.error_message = "failed", "ToolFailed", str(content)[:500]

    def _call(self, operation: str, target: str, request: Any, response: Any) -> CallRecord:
        ordinal = len(self._calls) + 1
        call = CallRecord(
            call_id=digest([self.run_id, ordinal])[:16],
            run_id=self.run_id,
            step_id=self._step_id,
            node_name=NODE,
            ordinal=ordinal,
            attempt=1,
            operation_name=operation,
            target=target,
            started_at=self.began,
            request_hash=digest(request),
            request_payload=self._keep(request),
            response_payload=self._keep(response),
            step_started_at=self.began,
            seq=2 * ordinal,
            end_seq=2 * ordinal + 1,
            purpose="answer",
        )
        self._calls.append(call)
        return call

    def _total(self, run: RunRecord) -> None:
        """Add up the calls; one unknown cost makes the whole unknown."""
        costs = [call.cost_nano_usd for call in self._calls]
        run.calls = len(self._calls)
        run.usage_input_tokens = sum(call.usage_input_tokens or 0 for call in self._calls)
        run.usage_output_tokens = sum(call.usage_output_tokens or 0 for call in self._calls)
        run.cost_nano_usd = None if None in costs else sum(cost or 0 for cost in costs)

    def _outcome(self) -> OutcomeRecord | None:
        one = self.trajectory
        if one.succeeds is None:
            return None
        return OutcomeRecord(
            run_id=self.run_id,
            name="outcome",
            source=IMPORT,
            created_at=self.now,
            success=one.succeeds,
            value=one.reward,
        )


def _plain(message: Message, where: str) -> dict[str, Any]:
    """Give a message as the ledger has those of its own runs."""
    role = message.get("role")
    if role not in ("system", "user", "assistant", "tool"):
        raise InputError(f"{where}: its role is {role!r}, and system, user, assistant or tool is expected")
    plain: dict[str, Any] = {"role": _ROLES.get(role, role), "content": message.get("content") or ""}
    if message.get("tool_calls"):
        plain["tool_calls"] = [_tool_call(use, where) for use in message["tool_calls"]]
    return plain | ({"tool_call_id": message.get("tool_call_id")} if role == "tool" else {})


def _tool_call(use: Any, where: str) -> dict[str, Any]:
    try:
        function = use.get("function") or use
        name, given = str(function["name"]), function.get("arguments", function.get("args", {}))
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{where}: a tool call has a function with a name and arguments") from error
    read = _read(given)
    return {"name": name, "args": read if isinstance(read, dict) else {"unread": given}, "id": use.get("id")}


def _read(content: Any) -> Any:
    """Give what a text says where it is a JSON object or list, else the text."""
    if not isinstance(content, str) or not content.lstrip().startswith(("{", "[")):
        return content
    try:
        return json.loads(content)
    except ValueError:
        return content
