"""A run that goes on is set to where the ledger says it is."""

from engine.ports import Taken
from engine.runtime.history import RunJournal
from engine.runtime.run import Run
from engine.usage import Amount


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
    spent = Amount(
        tokens=sum(call.charged_tokens for call in taken.calls),
        nano_usd=sum(call.charged_nano_usd for call in taken.calls),
        calls=len(taken.calls),
        steps=len(taken.steps),
        retries=sum(call.attempt > 1 for call in taken.calls),
    )
    run.account.settle(Amount(), spent)
