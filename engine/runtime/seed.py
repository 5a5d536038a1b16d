"""A run that goes on is set to where the ledger says it is."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from engine.ports import Taken
from engine.records import CallRecord, StepRecord
from engine.runtime.history import RunJournal
from engine.runtime.run import Run
from engine.usage import Amount

Row = TypeVar("Row", CallRecord, StepRecord)


def seed(run: Run, taken: Taken) -> None:
    """Set a run to where the ledger says it is: what it has spent, and what it need not do again."""
    record = run.record
    run.is_admitted = True
    run.journal = RunJournal.of(taken.steps, taken.calls)
    run.worked_ns = record.duration_ns or 0
    run.questions = {question.question_id: question for question in taken.questions}
    record.steps, record.calls = len(taken.steps), 0
    record.usage_input_tokens = record.usage_output_tokens = 0
    for call in taken.calls:
        run.spend(call)
    run.account.settle(Amount(), _spent(taken.calls, taken.steps))
    for name, account in run.kept.items():
        account.fill(_spent(_of(name, taken.calls), _of(name, taken.steps)))


def _of(node: str, rows: Iterable[Row]) -> list[Row]:
    """Give the rows of a node of the run's own workflow and of the steps inside it."""
    return [row for row in rows if row.node_name.partition("/")[0] == node]


def _spent(calls: Sequence[CallRecord], steps: Sequence[StepRecord]) -> Amount:
    return Amount(
        tokens=sum(call.charged_tokens for call in calls),
        nano_usd=sum(call.charged_nano_usd for call in calls),
        calls=len(calls),
        steps=len(steps),
        retries=sum(call.attempt > 1 and call.purpose != "hedge" for call in calls),
    )
