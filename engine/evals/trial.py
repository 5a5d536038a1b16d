"""A trial: what one run did with a case, as evaluators look at it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from engine.definition.passage import Passage, Retrieved
from engine.errors import StoreError
from engine.evals.case import Case
from engine.records import CallRecord, RunRecord, RunStatus
from engine.runtime.history import MODEL_CALL, RETRIEVER_CALL, TOOL_CALL
from engine.store.ledger import SqlLedger
from engine.store.reader import values_at
from engine.store.whole_runs import calls_of

_AT_ONCE = 100  # runs that are read together
Values = Mapping[str, Any]


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
    found = await trials_of(ledger, [run])
    return found[0] if case is None else replace(found[0], case=case)


async def trials_of(ledger: SqlLedger, runs: Sequence[RunRecord]) -> list[Trial]:
    """Read what runs did, with cases that say what they were given; some runs at a time.

    Raises:
        StoreError: a text is not there any more.
    """
    found: list[Trial] = []
    for start in range(0, len(runs), _AT_ONCE):
        some = runs[start : start + _AT_ONCE]
        calls = await ledger.read(partial(calls_of, run_ids=[run.run_id for run in some]))
        values = await _values(ledger, some, [call for those in calls.values() for call in those])
        found += [_trial(run, calls.get(run.run_id, ()), values) for run in some]
    return found


async def _values(ledger: SqlLedger, runs: Sequence[RunRecord], calls: Sequence[CallRecord]) -> Values:
    """Give what trials of runs are made of, by its name."""
    named = {name for run in runs for name in (run.input_payload, run.output_payload)}
    named |= {call.request_payload for call in calls if call.operation_name == TOOL_CALL}
    named |= {call.response_payload for call in calls if call.operation_name in (TOOL_CALL, RETRIEVER_CALL)}
    names = sorted(name for name in named if name is not None)
    try:
        return dict(zip(names, await ledger.read(partial(values_at, names=names)), strict=True))
    except KeyError as error:
        raise StoreError(f"the payload {error} is not in the ledger any more: restore it from a backup") from error


def _trial(run: RunRecord, calls: Sequence[CallRecord], values: Values) -> Trial:
    last = {(call.step_id, call.ordinal, call.operation_name): call for call in calls}
    found: dict[str, Passage] = {}
    for call in last.values():
        if call.operation_name == RETRIEVER_CALL and call.response_payload is not None:
            for passage in Retrieved.model_validate(values[call.response_payload]).passages:
                found.setdefault(passage.id, passage)
    return Trial(
        case=Case(input={} if run.input_payload is None else values[run.input_payload]),
        run=run,
        output={} if run.output_payload is None else values[run.output_payload],
        tools=[_tool_use(call, values) for call in last.values() if call.operation_name == TOOL_CALL],
        passages=list(found.values()),
        model_requests=sum(call.operation_name == MODEL_CALL for call in calls),
        retries=sum(call.attempt > 1 for call in calls),
    )


def _tool_use(call: CallRecord, values: Values) -> ToolUse:
    request: dict[str, Any] = {} if call.request_payload is None else values[call.request_payload]
    result = None if call.response_payload is None else values[call.response_payload]
    name = call.tool_name or call.target
    return ToolUse(name, request.get("arguments") or {}, result, call.status, call.tool_effect)
