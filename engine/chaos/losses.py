"""Runs lost: those that did not come to an end, or to another end than undisturbed runs of the same input come to."""

from collections.abc import Iterator

from engine import errors
from engine.chaos.expected import Expected
from engine.chaos.facts import RunFacts
from engine.records import RunRecord, RunStatus

_WAYS_OF_TARGETS = (errors.CallError, errors.BreakerOpen, errors.StepTimeout, errors.AnswerRejected)


def lost(run: RunFacts, expected: Expected) -> Iterator[str]:
    """Say how a run was lost, if it was."""
    record, broke = run.record, f": {run.broke}" if run.broke else ""
    if record is None:
        yield f"it is not in the ledger{broke}"
    elif record.status is RunStatus.RUNNING:
        yield f"it did not come to an end{broke}"
    elif expected.status is not None and record.status is not expected.status:
        if not _is_its_own_affair(record):
            why = f" ({record.error_type}: {record.error_message})" if record.error_type else ""
            yield f"it ended as {record.status}{why} and undisturbed ones as {expected.status}"
    elif record.status is RunStatus.SUCCEEDED:
        yield from _diverged(run, expected)


def _diverged(run: RunFacts, expected: Expected) -> Iterator[str]:
    if expected.path is not None and run.path != expected.path:
        yield f"it went by {_shown(run.path)} and undisturbed ones by {_shown(expected.path)}"
    for name, value in expected.output.items():
        if run.output.get(name) != value:
            yield f"it returned {name} = {run.output.get(name)!r} and undisturbed ones {value!r}"


def _is_its_own_affair(record: RunRecord) -> bool:
    """Say whether a run may end so without a fault of the engine.

    A call that was in flight at a kill stays charged at its reservation, so a run that is killed often may come to the
    end of its budget; and a model, tool or retriever may fail while others are killed.
    """
    if record.status is RunStatus.BUDGET_EXCEEDED:
        return True
    kind = getattr(errors, record.error_type or "", None)
    return record.status is RunStatus.FAILED and isinstance(kind, type) and issubclass(kind, _WAYS_OF_TARGETS)


def _shown(path: list[tuple[str, int]]) -> str:
    return ", ".join(node if visit == 1 else f"{node} (visit {visit})" for node, visit in path) or "no step"
