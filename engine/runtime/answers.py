"""An answer to a question: which question it is for, and whether it fits."""

from collections.abc import Mapping, Sequence
from typing import Any

import jsonschema_rs

from engine.errors import InputError
from engine.records import QuestionRecord, RunRecord, RunStatus


def the_one(
    run: RunRecord, asked: Sequence[QuestionRecord], question: str | None = None, digest: str | None = None
) -> QuestionRecord:
    """Give the question that is meant, of those that are open.

    Raises:
        InputError: none is open, several are, or it is about something else.
    """
    run_id = run.run_id
    if run.status is not RunStatus.WAITING:
        raise InputError(f"the run {run_id} waits for nobody: it is {run.status}")
    if not asked:
        raise InputError(f"every question of the run {run_id} has its answer: `flowledger resume {run_id}`")
    found = [one for one in asked if question is None or one.question_id.startswith(question)]
    if len(found) != 1:
        listed = "; ".join(f"{one.question_id} at {one.node_name}: {one.text}" for one in asked)
        raise InputError(f"say which question of {run_id} is meant, {listed}")
    if digest is not None and not (digest and found[0].digest.startswith(digest)):
        raise InputError(
            f"the question {found[0].question_id} of {run_id} is about {found[0].digest[:12]} and not {digest}: "
            "look at what it shows, and answer that"
        )
    return found[0]


def check_answer(asked: QuestionRecord, schema: Mapping[str, Any] | None, answer: Any) -> None:
    """See that an answer is what was asked for.

    Raises:
        InputError: it is not; the message says why.
    """
    if schema is None:
        if answer is not None:
            raise InputError(f"{asked.text!r} takes yes or no, not {answer!r}")
        return
    try:
        jsonschema_rs.validate(dict(schema), answer)
    except jsonschema_rs.ValidationError as error:
        raise InputError(f"{answer!r} is not an answer to {asked.text!r}: {error.message}") from error
