"""A question to a person: the answer if there is one, else the run waits."""

from datetime import datetime, timedelta

from engine.definition.question import Decision, Question
from engine.errors import Refused
from engine.payloads import digest
from engine.records import QuestionRecord, RunStatus
from engine.runtime.run import Run, Step
from engine.runtime.views import question_asked

_TOO_LATE = "nobody answered in time"


async def ask(step: Step, question: Question) -> Decision:
    """Give what a person decided about just this; a run whose question nobody has answered waits.

    The id of a question is made of what it is about, so the answer to another never stands for it.
    """
    run, now = step.run, step.run.clock.now()
    about = digest([question.kind, question.text, question.shown, question.answer_schema])
    step.asked[about] += 1
    question_id = digest([step.record.step_id, about, step.asked[about]])[:16]
    asked = run.questions.get(question_id)
    if asked is None or asked.status == "withdrawn":
        asked = run.questions[question_id] = _as_recorded(step, _record(step, question, question_id, about))
        run.write((asked,))
        run.tell(question_asked, asked)
    elif asked.status == "open" and asked.deadline_at is not None and now >= asked.deadline_at:
        asked.status, asked.reason, asked.answered_at = "expired", _TOO_LATE, now
        run.write((asked,))
    if asked.status != "open":
        return await _decision(run, asked)
    step.waits_for.add(question_id)
    raise run.pause()


async def demand(step: Step, question: Question, said: str) -> None:
    """Go on if a person agrees, or has agreed.

    Raises:
        Refused: they said no; the message begins with what was said.
    """
    decision = await ask(step, question)
    if not decision.agreed:
        raise Refused(f"{said}, and a person refused it{f': {decision.reason}' if decision.reason else ''}")


def withdraw(run: Run) -> None:
    """Take back the open questions that a run does not wait with any more, since it went another way."""
    for asked in run.questions.values():
        if asked.status == "open" and asked.question_id not in run.waits_for:
            asked.status = "withdrawn"
            run.write((asked,))


def next_look(run: Run) -> datetime | None:
    """Say when a run that has stopped may be taken again: at once where it left, else when a question expires."""
    if run.record.status is RunStatus.QUEUED:
        return run.record.ended_at
    deadlines = [run.questions[asked].deadline_at for asked in run.waits_for]
    return min((at for at in deadlines if at is not None), default=None)


def _as_recorded(step: Step, asked: QuestionRecord) -> QuestionRecord:
    """Give a question the answer that it had in the recorded run, in a replay."""
    tape = step.run.tape
    before = None if tape is None else tape.question(step.key, asked.digest)
    if before is not None and before.status not in ("open", "withdrawn"):
        for name in ("status", "answer_payload", "reason", "answered_by", "answered_at"):
            setattr(asked, name, getattr(before, name))
    return asked


async def _decision(run: Run, asked: QuestionRecord) -> Decision:
    answer = asked.default_payload if asked.status == "expired" else asked.answer_payload
    agreed = asked.status == "answered" or (asked.status == "expired" and answer is not None)
    return Decision(
        agreed=agreed, answer=None if answer is None else await run.ledger.value(answer), reason=asked.reason
    )


def _record(step: Step, question: Question, question_id: str, about: str) -> QuestionRecord:
    run, now = step.run, step.run.clock.now()
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
        asked_at=now,
        schema_payload=None if schema is None else run.keep(dict(schema)),
        deadline_at=None if question.seconds is None else now + timedelta(seconds=question.seconds),
        default_payload=None if default is None else run.keep(default),
        seq=run.next_seq(),
    )
