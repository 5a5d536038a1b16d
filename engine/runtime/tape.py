"""A tape: what a run was answered, by step and request, so that it can be played again without asking anybody."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from engine.errors import CallError, Diverged, RunError
from engine.records import CallRecord, QuestionRecord, RunRecord, StepRecord

StepKey = tuple[Any, ...]
"""Where a step stands in any run of a workflow: the steps around it, its name, visit and item."""

Mode = Literal["recorded", "then live"]
"""What happens to a request that is not on the tape: the replay ends there, or it is made."""


@dataclass(slots=True, kw_only=True)
class Tape:
    """The attempts, answers of people and cached answers of one run; each is given out once.

    Attributes:
        record: the run.
        live_effects: whether a tool that acts once may be called when its call is not on the tape.
        played: how many attempts were answered from the tape, and `live` how many were not.
    """

    record: RunRecord
    mode: Mode
    live_effects: bool = False
    played: int = 0
    live: int = 0
    _attempts: dict[tuple[StepKey, str], list[CallRecord]] = field(
        default_factory=dict[tuple[StepKey, str], list[CallRecord]]
    )
    _at: dict[tuple[StepKey, int], CallRecord] = field(default_factory=dict[tuple[StepKey, int], CallRecord])
    _steps: dict[StepKey, StepRecord] = field(default_factory=dict[StepKey, StepRecord])
    _questions: dict[tuple[StepKey, str], list[QuestionRecord]] = field(
        default_factory=dict[tuple[StepKey, str], list[QuestionRecord]]
    )

    @classmethod
    def of(
        cls,
        record: RunRecord,
        steps: Sequence[StepRecord],
        calls: Iterable[CallRecord],
        questions: Iterable[QuestionRecord],
        *,
        mode: Mode,
        live_effects: bool = False,
        until: str | None = None,
    ) -> "Tape":
        """Read a tape off the rows of a run.

        What a step had failed with before the run was resumed is not played again: the run went on from there.

        Args:
            record: the run.
            steps: its steps.
            calls: its attempts.
            questions: what people were asked.
            mode: what happens to what is not on the tape.
            live_effects: whether tools that act once may be called then.
            until: the node from which on nothing is played, as in "draft" or "draft#2" for its second visit.
        """
        tape = cls(record=record, mode=mode, live_effects=live_effects)
        by_id: dict[str, StepRecord] = {}
        for step in steps:
            if step.step_id not in by_id or step.attempt > by_id[step.step_id].attempt:
                by_id[step.step_id] = step
        ends = None if until is None else _first_seq(steps, until)
        keys = {step_id: _key(step, by_id) for step_id, step in by_id.items()}
        for step_id, step in by_id.items():
            if ends is None or step.seq < ends:
                tape._steps.setdefault(keys[step_id], step)
        for call in sorted(calls, key=lambda call: call.seq or 0):
            step = by_id.get(call.step_id)
            if step is None or (ends is not None and (call.seq or 0) >= ends):
                continue
            if step.attempt > 1 and call.status != "ok" and (call.seq or 0) < step.seq:
                continue
            tape._attempts.setdefault((keys[call.step_id], call.request_hash), []).append(call)
            tape._at.setdefault((keys[call.step_id], call.ordinal), call)
        for question in questions:
            if question.step_id in keys and (ends is None or (question.seq or 0) < ends):
                tape._questions.setdefault((keys[question.step_id], question.digest), []).append(question)
        return tape

    def next(self, key: StepKey, request_hash: str) -> CallRecord | None:
        """Give the next attempt that was recorded for a request of a step, and leave it on the tape."""
        left = self._attempts.get((key, request_hash))
        return left[0] if left else None

    def take(self, key: StepKey, request_hash: str) -> CallRecord | None:
        """Give it and take it off."""
        left = self._attempts.get((key, request_hash))
        if not left:
            return None
        self.played += 1
        return left.pop(0)

    def other(self, key: StepKey, ordinal: int) -> CallRecord | None:
        """Give what was recorded at the place of a request, whatever was asked there."""
        return self._at.get((key, ordinal))

    def step(self, key: StepKey) -> StepRecord | None:
        """Give a step as it was recorded."""
        return self._steps.get(key)

    def began(self, key: StepKey, now: datetime) -> datetime:
        """Say when a step began in the recorded run; now, if it did not."""
        step = self._steps.get(key)
        return now if step is None else step.started_at

    def question(self, key: StepKey, about: str) -> QuestionRecord | None:
        """Give what a person was asked in a step about just this, once."""
        left = self._questions.get((key, about))
        return left.pop(0) if left else None


def error_of(row: CallRecord) -> RunError:
    """Make the error again that an attempt ended with.

    Raises:
        Diverged: the attempt was cut, so nobody knows how it would have ended.
    """
    kinds: Mapping[str, type[CallError]] = {kind.__name__: kind for kind in _every(CallError)}
    kind = kinds.get(row.error_type or "")
    if kind is None:
        raise Diverged(f"the recorded attempt at {row.node_name!r} was {row.status}, so nobody knows how it would end")
    return kind(row.error_message or "", retry_after=row.retry_after_s)


def _every(kind: type[CallError]) -> list[type[CallError]]:
    return [kind, *(found for inner in kind.__subclasses__() for found in _every(inner))]


def _key(step: StepRecord, by_id: Mapping[str, StepRecord]) -> StepKey:
    parent = by_id.get(step.parent_step_id or "")
    around: StepKey = () if parent is None else _key(parent, by_id)
    return (*around, (step.node_name, step.visit, step.item))


def _first_seq(steps: Sequence[StepRecord], until: str) -> int | None:
    name, _, visit = until.partition("#")
    found = [step.seq for step in steps if step.node_name == name and (not visit or str(step.visit) == visit)]
    return min(found, default=None)
