"""What a run had done before this process took it: the journal that its steps are answered from when they run again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from engine.records import CallRecord, StepRecord
from engine.usage import Amount

MODEL_CALL, TOOL_CALL, RETRIEVER_CALL, RUNNABLE_CALL = "chat", "execute_tool", "retrieval", "invoke_workflow"
EMBEDDINGS_CALL = "embeddings"
"""The operations of calls, as OpenTelemetry names them."""

_TURNED_DOWN = frozenset({"AnswerRejected", "UpdateInvalid", "GuardrailBlocked"})

_NOTHING = Amount()

Place = tuple[str, int]
Request = tuple[str, str]


@dataclass(slots=True)
class RunJournal:
    """The calls of earlier tries, by step, ordinal and request; each is given out once."""

    _finished: dict[Request, list[CallRecord]] = field(default_factory=dict[Request, list[CallRecord]])
    _unknown: dict[Request, list[CallRecord]] = field(default_factory=dict[Request, list[CallRecord]])
    _asked: dict[Place, str] = field(default_factory=dict[Place, str])
    _attempts: dict[Place, int] = field(default_factory=dict[Place, int])
    _tries: dict[str, int] = field(default_factory=dict[str, int])
    _began: dict[str, datetime] = field(default_factory=dict[str, datetime])
    _steps: dict[str, StepRecord] = field(default_factory=dict[str, StepRecord])
    _inside: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    _charged: dict[str, dict[int, Amount]] = field(default_factory=dict[str, dict[int, Amount]])

    @classmethod
    def of(cls, steps: Iterable[StepRecord], calls: Iterable[CallRecord]) -> "RunJournal":
        """Read the journal off the ledger.

        An answer is not given again to a step that failed because of what it was answered: it would fail so for ever.
        What a tool did stays done.
        """
        journal = cls()
        turned_down: set[str] = set()
        for step in steps:
            journal._tries[step.step_id] = max(step.attempt, journal._tries.get(step.step_id, 0))
            if step.error_type in _TURNED_DOWN or step.parent_step_id in turned_down:
                turned_down.add(step.step_id)
            elif step.parent_step_id is not None and (step.status == "ok" or step.fallback_to):
                journal._steps[step.step_id] = step
            if step.parent_step_id is not None:
                journal._inside.setdefault(step.parent_step_id, set()).add(step.step_id)
        for call in calls:
            at = journal._charged.setdefault(call.step_id, {})
            charge = Amount(tokens=call.charged_tokens, nano_usd=call.charged_nano_usd, calls=1)
            at[call.ordinal] = at.get(call.ordinal, Amount()) + charge
            request, place = (call.step_id, call.request_hash), (call.step_id, call.ordinal)
            journal._attempts[place] = max(call.attempt, journal._attempts.get(place, 0))
            if call.step_started_at is not None:
                journal._began.setdefault(call.step_id, call.step_started_at)
            if is_inside(call):
                continue  # the runnable is answered as a whole, or runs again as a whole
            if call.status == "unknown" and call.tool_effect == "once":
                journal._unknown.setdefault(request, []).append(call)
            elif call.status == "ok" and not (call.step_id in turned_down and _may_be_asked_again(call)):
                journal._asked[place] = call.request_hash
                journal._finished.setdefault(request, []).append(call)
        return journal

    def recall(self, step_id: str, ordinal: int, request_hash: str) -> CallRecord | None:
        """Give the finished call with this request: the one at this place, else another of the step, once."""
        kept = self._finished.get((step_id, request_hash))
        if not kept:
            return None
        here = next((call for call in kept if call.ordinal == ordinal), kept[0])
        kept.remove(here)
        return here

    def other_request(self, step_id: str, ordinal: int, request_hash: str) -> str | None:
        """Give the hash of the request that was finished at this place, if it was another."""
        asked = self._asked.get((step_id, ordinal))
        return None if asked == request_hash else asked

    def unknown(self, step_id: str, request_hash: str) -> Sequence[CallRecord]:
        """Give actions with this request of which nobody knows whether they were done, once."""
        return self._unknown.pop((step_id, request_hash), ())

    def attempts(self, step_id: str, ordinal: int) -> int:
        """Say how many attempts were made at this place."""
        return self._attempts.get((step_id, ordinal), 0)

    def finished_step(self, step_id: str) -> StepRecord | None:
        """Give a step inside another that came to its end."""
        return self._steps.get(step_id)

    def charged_at(self, step_id: str, ordinal: int) -> Amount:
        """Say what the attempts at this place were charged."""
        return self._charged.get(step_id, {}).get(ordinal, _NOTHING)

    def charged_inside(self, step_id: str) -> Amount:
        """Say what the calls of a step were charged, and the steps inside it with theirs."""
        whole = sum(self._charged.get(step_id, {}).values(), _NOTHING)
        for inner in self._inside.get(step_id, ()):
            whole += self.charged_inside(inner) + Amount(steps=self.tries(inner))
        return whole

    def tries(self, step_id: str) -> int:
        """Say how often a step was begun and recorded."""
        return self._tries.get(step_id, 0)

    def began(self, step_id: str, now: datetime) -> datetime:
        """Say when a step first began: now, if nothing of it is recorded."""
        return self._began.get(step_id, now)


def is_inside(call: CallRecord) -> bool:
    """Say whether a model was asked by a runnable, and not by the node."""
    return call.operation_name == MODEL_CALL and call.tool_name is not None


def _may_be_asked_again(call: CallRecord) -> bool:
    """Say whether a call only asked for something, and did nothing."""
    return call.operation_name == MODEL_CALL or call.tool_effect == "read"
