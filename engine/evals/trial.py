"""A trial: what one run did with a case, as evaluators look at it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.definition.passage import Passage, Retrieved
from engine.evals.case import Case
from engine.records import CallRecord, RunRecord, RunStatus
from engine.runtime.history import MODEL_CALL, RETRIEVER_CALL, TOOL_CALL
from engine.store.ledger import SqlLedger


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool that was called: its name, what it was given and what it answered.

    Attributes:
        status: ok, failed, cancelled or unknown.
        effect: read, idempotent or once.
    """

    name: str
    arguments: Mapping[str, Any]
    result: Any
    status: str
    effect: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one run did with a case.

    Attributes:
        case: the input, and what is expected.
        run: its row: status, tokens, cost, duration.
        output: what it returned; empty where it did not succeed.
        tools: the tools that it called, in order; the last attempt of each.
        passages: what its retrievers found, the first of each id, in order.
        model_requests: attempts of model calls.
        retries: attempts beyond the first, of any call.
    """

    case: Case
    run: RunRecord
    output: Mapping[str, Any]
    tools: Sequence[ToolUse]
    passages: Sequence[Passage]
    model_requests: int
    retries: int

    def expected(self, name: str) -> Any:
        """Give what the case expects under a name; None if it says nothing of it."""
        return (self.case.expect or {}).get(name)

    @property
    def ended_as_expected(self) -> bool:
        """Whether the run ended as the case expects under `status`; if it says nothing, whether it succeeded."""
        return str(self.run.status) == (self.expected("status") or RunStatus.SUCCEEDED)

    def recorded(self) -> dict[str, Any]:
        """Give what a case keeps of it."""
        tools = [{"name": use.name, "arguments": dict(use.arguments), "result": use.result} for use in self.tools]
        return {
            "status": str(self.run.status),
            "output": dict(self.output),
            "tools": tools,
            "passages": [{"id": passage.id, "text": passage.text} for passage in self.passages],
        }


async def trial_of(ledger: SqlLedger, run_id: str, case: Case | None = None) -> Trial:
    """Read what a run did; without a case, with one that says what the run was given.

    Raises:
        InputError: there is no such run.
        StoreError: a text is not there any more.
    """
    run = await ledger.run(run_id)
    calls = await ledger.calls(run.run_id)
    last = {(call.step_id, call.ordinal, call.operation_name): call for call in calls}
    uses = [await _tool_use(ledger, call) for call in last.values() if call.operation_name == TOOL_CALL]
    found: dict[str, Passage] = {}
    for call in last.values():
        if call.operation_name == RETRIEVER_CALL and call.response_payload is not None:
            answer = Retrieved.model_validate(await ledger.value(call.response_payload))
            for passage in answer.passages:
                found.setdefault(passage.id, passage)
    if case is None:
        case = Case(input={} if run.input_payload is None else await ledger.value(run.input_payload))
    return Trial(
        case=case,
        run=run,
        output={} if run.output_payload is None else await ledger.value(run.output_payload),
        tools=uses,
        passages=list(found.values()),
        model_requests=sum(call.operation_name == MODEL_CALL for call in calls),
        retries=sum(call.attempt > 1 for call in calls),
    )


async def _tool_use(ledger: SqlLedger, call: CallRecord) -> ToolUse:
    request: dict[str, Any] = {} if call.request_payload is None else await ledger.value(call.request_payload)
    result = None if call.response_payload is None else await ledger.value(call.response_payload)
    name = call.tool_name or call.target
    return ToolUse(name, request.get("arguments") or {}, result, call.status, call.tool_effect)
