"""A run as spans: the run, its steps inside it, and their calls, with ids that are the same each time they are made."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import partial
from typing import Any

from engine.exports import attributes, names
from engine.exports.attributes import Attributes, Profile, Said
from engine.records import CallRecord, RunRecord, StepRecord
from engine.store.whole_runs import WholeRun

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEX = frozenset("0123456789abcdef")
_CLIENT_CALLS = ("chat", "embeddings", "retrieval")


class SpanKind(IntEnum):
    """What OpenTelemetry's protocol calls a kind of span."""

    INTERNAL = 1
    CLIENT = 3


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """What happened at a moment of a span."""

    at_ns: int
    name: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class SpanLink:
    """A span that this one has to do with, and how: retry_of, resumes, replay_of."""

    trace_id: str
    span_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One stretch of work.

    Attributes:
        trace_id: 32 hex digits, the id of the run.
        span_id: 16 hex digits, and `parent_id` those of the span around it.
        begin_ns: since 1970, as is `end_ns`.
        error: what went wrong in a sentence; empty where nobody says, None where nothing did.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    begin_ns: int
    end_ns: int
    attributes: Attributes
    kind: SpanKind = SpanKind.INTERNAL
    events: list[SpanEvent] = field(default_factory=list[SpanEvent])
    links: list[SpanLink] = field(default_factory=list[SpanLink])
    error: str | None = None


def trace_id_of(run_id: str) -> str:
    """Give the trace of a run: its id."""
    return run_id if len(run_id) == 32 and set(run_id) <= _HEX and run_id.strip("0") else _digest(32, run_id)


def root_id_of(run_id: str) -> str:
    """Give the span of a run as a whole."""
    return _digest(16, run_id, "run")


def spans_of(whole: WholeRun, profile: Profile, said: Mapping[str, Any] | None = None) -> list[Span]:
    """Give the spans of a run, the run itself first.

    Args:
        whole: the run.
        profile: whose names the attributes have, besides OpenTelemetry's.
        said: the values of payloads by what stands in their columns; None leaves content out.
    """
    tries = _Tries.of(whole)
    make = _Maker(whole.run, profile, partial(_value, said), tries)
    root, steps = make.of_run(), [make.of_step(step) for step in whole.steps]
    calls: list[Span] = []
    asked_before: dict[tuple[str, int], str] = {}
    for call in whole.calls:
        place = call.step_id, call.ordinal
        calls.append(make.of_call(call, asked_before.get(place)))
        asked_before[place] = calls[-1].span_id
    by_id = {span.span_id: span for span in steps}
    for verdict in whole.verdicts:
        event = SpanEvent(_ns(verdict.created_at), names.GUARDRAIL, attributes.of_verdict(verdict))
        by_id.get(tries.around(verdict.step_id, verdict.created_at) or "", root).events.append(event)
    for one in whole.outcomes:
        root.events.append(SpanEvent(_ns(one.created_at), names.EVALUATION, attributes.of_outcome(one)))
    for one in whole.scores:
        root.events.append(SpanEvent(_ns(one.created_at), names.EVALUATION, attributes.of_score(one)))
    return [root, *steps, *calls]


@dataclass(frozen=True, slots=True)
class _Tries:
    """When each step was begun, in order, and the span of that try."""

    begun: Mapping[str, Sequence[tuple[datetime, str]]]

    @classmethod
    def of(cls, whole: WholeRun) -> "_Tries":
        begun: dict[str, list[tuple[datetime, str]]] = {}
        for step in whole.steps:
            begun.setdefault(step.step_id, []).append((step.started_at, _step_span(step.step_id, step.attempt)))
        return cls({step_id: sorted(tries) for step_id, tries in begun.items()})

    def around(self, step_id: str | None, at: datetime) -> str | None:
        """Give the span of the try in which something happened: the last that had begun; None if there is none."""
        tries = self.begun.get(step_id or "", ())
        return next((span for began, span in reversed(tries) if began <= at), tries[0][1] if tries else None)


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the spans of one run."""

    run: RunRecord
    profile: Profile
    value: Callable[[str | None], Any]
    tries: _Tries

    def of_run(self) -> Span:
        run = self.run
        said = Said(self.value(run.input_payload), self.value(run.output_payload))
        begin = _ns(run.started_at)
        end = _ns(run.ended_at) if run.ended_at is not None else begin + (run.duration_ns or 0)
        parent = run.parent_run_id
        links = [] if parent is None else [SpanLink(trace_id_of(parent), root_id_of(parent), f"{run.origin}_of")]
        return Span(
            trace_id=trace_id_of(run.run_id),
            span_id=root_id_of(run.run_id),
            parent_id=None,
            name=f"{names.INVOKE_WORKFLOW} {run.workflow}",
            begin_ns=begin,
            end_ns=max(begin, end),
            attributes=attributes.of_run(run) | self.profile.of_run(run, said),
            events=_error_events(end, run.error_type, run.error_message),
            links=links,
            error=None if run.error_type is None else run.error_message or "",
        )

    def of_step(self, step: StepRecord) -> Span:
        said = Said(self.value(step.input_payload), self.value(step.update_payload))
        begin = _ns(step.started_at)
        end = begin + (step.duration_ns or 0)
        is_agent = attributes.is_agent(step)
        return Span(
            **self._place(_step_span(step.step_id, step.attempt), step.parent_step_id, step.started_at),
            name=f"{names.INVOKE_AGENT} {step.node_name}" if is_agent else step.node_name,
            begin_ns=begin,
            end_ns=end,
            attributes=attributes.of_step(step) | self.profile.of_step(step, said),
            events=_error_events(end, step.error_type, step.error_message),
            links=[self._earlier(_step_span(step.step_id, step.attempt - 1), "resumes")] if step.attempt > 1 else [],
            error=None if step.error_type is None else step.error_message or "",
        )

    def of_call(self, call: CallRecord, before: str | None) -> Span:
        said = Said(self.value(call.request_payload), self.value(call.response_payload))
        begin = _ns(call.started_at)
        end = begin + (call.duration_ns or 0)
        failed = call.status not in ("ok", "in_flight")
        of = call.tool_name if call.operation_name not in ("chat", "embeddings") else call.request_model
        return Span(
            **self._place(_digest(16, call.run_id, call.call_id), call.step_id, call.started_at),
            name=f"{call.operation_name} {of or call.target}",
            kind=SpanKind.CLIENT if call.operation_name in _CLIENT_CALLS else SpanKind.INTERNAL,
            begin_ns=begin,
            end_ns=end,
            attributes=attributes.of_call(call, said) | self.profile.of_call(call, said),
            events=_error_events(end, call.error_type, call.error_message),
            links=[] if before is None else [self._earlier(before, "retry_of")],
            error=(call.error_message or call.status) if failed else None,
        )

    def _place(self, span_id: str, step_id: str | None, at: datetime) -> dict[str, Any]:
        """Say where a span stands: in the try of a step, else in the run."""
        parent_id = self.tries.around(step_id, at) or root_id_of(self.run.run_id)
        return {"trace_id": trace_id_of(self.run.run_id), "span_id": span_id, "parent_id": parent_id}

    def _earlier(self, span_id: str, reason: str) -> SpanLink:
        return SpanLink(trace_id_of(self.run.run_id), span_id, reason)


def _value(said: Mapping[str, Any] | None, name: str | None) -> Any:
    return None if said is None or name is None else said.get(name)


def _step_span(step_id: str, attempt: int) -> str:
    is_id = attempt == 1 and len(step_id) == 16 and set(step_id) <= _HEX and step_id.strip("0")
    return step_id if is_id else _digest(16, step_id, str(attempt))


def _error_events(at_ns: int, error_type: str | None, message: str | None) -> list[SpanEvent]:
    if error_type is None:
        return []
    told = {names.EXCEPTION_TYPE: error_type, names.EXCEPTION_MESSAGE: message or ""}
    return [SpanEvent(at_ns, names.EXCEPTION, told)]


def _ns(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


def _digest(digits: int, *parts: str) -> str:
    """Name something by what it is; nothing is named by zeros, which are no id."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:digits]
