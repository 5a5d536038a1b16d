"""A question to a person: the answer if there is one, else the run waits."""

from datetime import datetime, timedelta

from engine.definition.question import Decision, Question
from engine.payloads import digest
from engine.records import QuestionRecord
from engine.runtime.run import Step
from engine.runtime.views import question_asked


async def ask(step: Step, question: Question) -> Decision:
    """Give what a person decided about just this; a run whose question nobody has answered waits.

    The id of a question is made of what it is about, so the answer to another never stands for it.
    """
    run = step.run
    step.asked += 1
    about = digest([question.kind, question.text, question.shown, question.answer_schema])
    question_id = digest([step.record.step_id, step.asked, about])[:16]
    asked = run.questions.get(question_id)
    if asked is None:
        asked = _record(step, question, question_id, about)
        run.write((asked,))
        run.tell(question_asked, asked)
    elif asked.status == "answered":
        answer = None if asked.answer_payload is None else await run.ledger.value(asked.answer_payload)
        return Decision(agreed=True, answer=answer, reason=asked.reason)
    elif asked.status == "refused":
        return Decision(agreed=False, reason=asked.reason)
    elif asked.deadline_at is not None and run.clock.now() >= asked.deadline_at:
        return Decision(agreed=question.default is not None, answer=question.default, reason="nobody answered in time")
    raise run.pause()


def _record(step: Step, question: Question, question_id: str, about: str) -> QuestionRecord:
    run = step.run
    schema, default = question.answer_schema, question.default
    return QuestionRecord(
        question_id=question_id,
        run_id=run.record.run_id,
        step_id=step.record.step_id,
        node_name=step.name,
        kind=question.kind,
        text=question.text,
        digest=about,
        shown_payload=run.keep(dict(question.shown)),
        asked_at=run.clock.now(),
        schema_payload=None if schema is None else run.keep(dict(schema)),
        deadline_at=_deadline(step, question.seconds),
        default_payload=None if default is None else run.keep(default),
        seq=run.next_seq(),
    )


def _deadline(step: Step, seconds: float | None) -> datetime | None:
    return None if seconds is None else step.run.clock.now() + timedelta(seconds=seconds)
