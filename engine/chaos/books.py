"""The books: whether the ledger says what happened, agrees with itself, and stays within the budget."""

from collections import Counter
from collections.abc import Iterable, Iterator

from engine.chaos.facts import RunFacts, is_done
from engine.chaos.repeats import matters
from engine.records import CallRecord, RunRecord, RunStatus, StepRecord
from engine.runtime.history import MODEL_CALL
from engine.usage import Limits, to_usd


def mismatches(run: RunFacts) -> Iterator[str]:
    """Name everything in which the ledger differs from what was seen, or from itself."""
    yield from _against_the_witness(run)
    yield from contradictions(run)


def contradictions(run: RunFacts) -> Iterator[str]:
    """Name everything in which the ledger differs from itself."""
    yield from _steps(run)
    yield from _calls(run)
    if run.record is not None and run.record.status is not RunStatus.RUNNING:
        yield from _totals(run, run.record)
        yield from _end(run, run.record)


def overspent(run: RunFacts, limits: Limits) -> Iterator[str]:
    """Name every limit that a run has passed, by its charges or by what its providers counted."""
    spent = {
        "tokens": sum(call.charged_tokens for call in run.calls),
        "nano_usd": sum(call.charged_nano_usd for call in run.calls),
        "calls": len(run.calls),
        "steps": len(run.steps),
    }
    for kind, amount in spent.items():
        limit: int | None = getattr(limits, kind)
        if limit is not None and amount > limit:
            yield f"{_shown(kind, amount)} were charged, and the budget is {_shown(kind, limit)}"
    used = sum(seen.tokens for seen in run.seen if seen.what == "answered")
    if limits.tokens is not None and limits.tokens < used:
        yield f"{used:,} tokens were used, and the budget is {limits.tokens:,}"
    if used > spent["tokens"]:
        yield f"{used:,} tokens were used, and {spent['tokens']:,} were charged"


def _against_the_witness(run: RunFacts) -> Iterator[str]:
    rows = {call.call_id: call for call in run.calls}
    answered = {seen.call for seen in run.seen if seen.what == "answered"}
    for seen in run.seen:
        row, acts = rows.get(seen.call), matters(seen.operation, seen.effect)
        if seen.what == "sent" and row is None and acts:
            yield f"{seen.node} sent call {seen.call}, and it has no row"
        if seen.what == "answered" and row is not None and row.status == "failed" and row.resolution is None:
            yield f"{seen.node} had call {seen.call} answered, and its row says {row.status}"
    for row in run.calls:
        if row.status == "ok" and row.resolution is None and row.call_id not in answered:
            yield f"call {row.call_id} of {row.node_name} is ok, and nobody saw it answered"


def _steps(run: RunFacts) -> Iterator[str]:
    done: Counter[tuple[str, int, str]] = Counter()
    ids: dict[tuple[str, int, str], set[str]] = {}
    attempts: dict[str, list[int]] = {}
    for step in run.steps:
        inside = (
            "" if step.parent_step_id is None else step.step_id
        )  # those of other items have the same name and visit
        place = (step.node_name, step.visit, inside)
        done[place] += is_done(step)
        ids.setdefault(place, set()).add(step.step_id)
        attempts.setdefault(step.step_id, []).append(step.attempt)
        if step.status == "running":
            yield f"the step {step.node_name} is still running"
    for (node, visit, _), times in done.items():
        if times > 1:
            yield f"visit {visit} of {node} was finished {times} times"
    for (node, visit, _), found in ids.items():
        if len(found) > 1:
            yield f"visit {visit} of {node} has {len(found)} step ids"
    for step_id, found in attempts.items():
        if sorted(found) != list(range(1, len(found) + 1)):
            yield f"the step {step_id} has the attempts {sorted(found)}"


def _calls(run: RunFacts) -> Iterator[str]:
    attempts = Counter((call.step_id, call.ordinal, call.attempt) for call in run.calls)
    for (step_id, ordinal, attempt), times in attempts.items():
        if times > 1:
            yield f"call {ordinal} of the step {step_id} has {times} rows for its attempt {attempt}"
    read = [call for call in run.calls if call.status == "ok" and call.operation_name != MODEL_CALL]
    for place, times in Counter((call.node_name, call.step_id, call.ordinal) for call in read).items():
        if times > 1:
            yield f"call {place[2]} of {place[0]} is ok {times} times"


def _totals(run: RunFacts, record: RunRecord) -> Iterator[str]:
    costs = [call.cost_nano_usd for call in run.calls]
    sums = {
        "steps": len(run.steps),
        "calls": len(run.calls),
        "usage_input_tokens": sum(call.usage_input_tokens or 0 for call in run.calls),
        "usage_output_tokens": sum(call.usage_output_tokens or 0 for call in run.calls),
        "cost_nano_usd": None if None in costs else sum(cost or 0 for cost in costs),
    }
    for name, summed in sums.items():
        if getattr(record, name) != summed:
            yield f"the run says {name} = {getattr(record, name)}, and its rows add up to {summed}"


def _end(run: RunFacts, record: RunRecord) -> Iterator[str]:
    if record.ended_at is None or record.duration_ns is None:
        yield f"it is {record.status} and does not say when it ended"
    for call in run.calls:
        if call.status == "in_flight":
            yield f"call {call.call_id} of {call.node_name} is in flight although the run has ended"
    if record.status is not RunStatus.SUCCEEDED:
        return
    if run.has_checkpoint and not run.keeps_checkpoints:
        yield "it has succeeded and a checkpoint of it is left"
    known = {step.step_id for step in run.steps}
    done = {step.step_id for step in run.steps if is_done(step)}
    for call in run.calls:
        if call.step_id not in known:
            yield f"call {call.call_id} of {call.node_name} belongs to no step"
    own = [
        step for step in run.steps if step.parent_step_id is None
    ]  # what failed inside one that is done is its affair
    if undone := sorted({step.node_name for step in own if step.step_id not in done | _lost(own)}):
        yield f"it has succeeded and never finished {', '.join(undone)}"


def _lost(steps: Iterable[StepRecord]) -> set[str]:
    """Give the steps that came to no end of their own: another way won, or their way failed at their side."""
    last = {step.step_id: step for step in sorted(steps, key=lambda step: step.attempt)}
    return {name for name, step in last.items() if step.status in ("cancelled", "waiting")}


def is_cut(call: CallRecord) -> bool:
    """Say whether a call was in flight when its process was killed."""
    return call.error_type == "ProcessEnded" or call.resolution is not None


def _shown(kind: str, amount: int) -> str:
    return f"{to_usd(amount):f} USD" if kind == "nano_usd" else f"{amount:,} {kind}"
