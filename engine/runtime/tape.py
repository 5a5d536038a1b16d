"""A tape: what a run was answered, by step and request, so that it can be played again without asking anybody."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from engine.errors import CallError, Diverged, RunError
from engine.records import CallRecord, QuestionRecord, RunRecord, StepRecord

StepKey = tuple[Any, ...]
"""Where a step stands in any run of a workflow: the steps around it, its name, visit and item."""

Stub = Callable[[str], Awaitable[str | None]]

Mode = Literal["recorded", "then live"]
"""What happens to a request that is not on the tape: the replay ends there, or it is made."""


@dataclass(frozen=True, slots=True)
class Fork:
    """Where a replay leaves the recorded run: from that visit of a node on everything is asked anew.

    Attributes:
        node: its name.
        visit: which visit of it; the first unless said.
        state: fields that hold something else from there on, JSON.
    """

    node: str
    visit: int = 1
    state: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True, kw_only=True)
class Tape:
    """The attempts, answers of people and cached answers of one run; each is given out once.

    Attributes:
        record: the run.
        live_effects: whether a tool that acts once may be called when its call is not on the tape.
        fork: where the replay leaves the run.
        stub: gives what stands in a column for an answer of a tool, where one that acts once is not called.
    """

    record: RunRecord
    mode: Mode
    live_effects: bool = False
    fork: Fork | None = None
    stub: Stub | None = None
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
        fork: Fork | None = None,
        changed: Collection[str] = (),
        stub: Stub | None = None,
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
            fork: the visit from which on nothing is played.
            changed: nodes that are other by now, so that what a cache gave for them says nothing.
            stub: gives answers of tools that are not called.
        """
        tape = cls(record=record, mode=mode, live_effects=live_effects, fork=fork, stub=stub)
        by_id: dict[str, StepRecord] = {}
        for step in steps:
            if step.step_id not in by_id or step.attempt > by_id[step.step_id].attempt:
                by_id[step.step_id] = step
        ends = None if fork is None else _first_seq(steps, fork)
        keys = keys_of(by_id)
        for step_id, step in by_id.items():
            is_stale = step.cached and step.node_name.partition("/")[0] in changed
            if (ends is None or step.seq < ends) and not is_stale:
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

    def forced(self, key: StepKey) -> Mapping[str, Any]:
        """Give the fields that hold something else from a step on."""
        here = self.fork is not None and key == ((self.fork.node, self.fork.visit, None),)
        return self.fork.state if self.fork is not None and here else {}

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


def keys_of(steps: Mapping[str, StepRecord]) -> Mapping[str, StepKey]:
    """Give where each step stands, by its id."""
    return {step_id: _key(step, steps) for step_id, step in steps.items()}


def _key(step: StepRecord, by_id: Mapping[str, StepRecord]) -> StepKey:
    parent = by_id.get(step.parent_step_id or "")
    around: StepKey = () if parent is None else _key(parent, by_id)
    return (*around, (step.node_name, step.visit, step.item))


def _first_seq(steps: Sequence[StepRecord], fork: Fork) -> int | None:
    found = [step.seq for step in steps if (step.node_name, step.visit) == (fork.node, fork.visit)]
    return min(found, default=None)
