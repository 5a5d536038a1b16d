"""What was paid or done a second time although the first was known: judged by what the witness saw go out."""

from collections import Counter
from collections.abc import Iterator

from engine.chaos.expected import Expected, actions_done
from engine.chaos.facts import RunFacts
from engine.chaos.witness import Seen
from engine.records import CallRecord
from engine.runtime.history import MODEL_CALL

_TURNED_DOWN = frozenset({"AnswerRejected", "UpdateInvalid", "GuardrailBlocked"})
"""A model is asked anew where its answer was turned down, and so failed the step."""


def paid_twice(run: RunFacts) -> Iterator[str]:
    """Name every request that was sent again although its answer stood in the ledger."""
    asked_anew = {step.step_id for step in run.steps if step.error_type in _TURNED_DOWN}
    for first, again in sent_again(run, same_place=True):
        if again.effect == "once" or (again.operation == MODEL_CALL and again.step in asked_anew):
            continue
        if _row(run, first).status == "ok":
            yield f"{again.node} sent call {again.call}, which call {first.call} had answered"


def done_twice(run: RunFacts, expected: Expected) -> Iterator[str]:
    """Name every action that may happen once and was seen to be done, or tried, more often than that."""
    silent: Counter[tuple[str, str]] = Counter()
    for first, again in sent_again(run, same_place=False):
        row = _row(run, first)
        known = row.status == "ok" and first.ordinal == again.ordinal
        if again.effect == "once" and (known or (row.status in ("in_flight", "unknown") and row.resolution is None)):
            silent[again.node, again.request] += 1
            why = "was answered" if known else "may have been done, and nobody was asked"
            yield f"{again.node} tried call {again.call} although call {first.call} {why}"
    for action, times in actions_done(run).items():
        most = max(1, expected.actions.get(action, 1))
        if times > most + silent[action]:
            yield f"{action[0]} was done {times} times under one key, and {most} is what an undisturbed run does"


def sent_again(run: RunFacts, *, same_place: bool) -> Iterator[tuple[Seen, Seen]]:
    """Give each request that acts or costs and went out again, with the time before, if that has a row."""
    rows = {call.call_id for call in run.calls}
    last: dict[tuple[str, str, int], Seen] = {}
    for seen in run.seen:
        if seen.what != "sent" or not matters(seen.operation, seen.effect):
            continue
        place = (seen.step, seen.request, seen.ordinal if same_place else 0)
        before = last.get(place)
        if before is not None and before.call in rows:
            yield before, seen
        last[place] = seen


def matters(operation: str, effect: str | None) -> bool:
    """Say whether an attempt costs or acts, so that its row is durable before it is sent."""
    return operation == MODEL_CALL or effect in ("idempotent", "once")


def _row(run: RunFacts, seen: Seen) -> CallRecord:
    return next(call for call in run.calls if call.call_id == seen.call)
