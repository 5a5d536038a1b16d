"""flowledger approve: a person answers what a run waits with, and the run goes on."""

import asyncio
import sys
from typing import Annotated, Any

import typer

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, RunArgument, parse_json, who_says, within
from engine.cli.questions import print_question
from engine.cli.render import errors
from engine.cli.run import WAITS, report
from engine.errors import InputError
from engine.records import QuestionRecord
from engine.reports.questions import values_of
from engine.runtime.answers import the_one
from engine.runtime.result import RunResult


def approve(
    run: RunArgument,
    answer: Annotated[str | None, typer.Option("--answer", help="The value that is asked for, JSON.")] = None,
    reject: Annotated[str | None, typer.Option("--reject", help="Say no, and why.")] = None,
    question: Annotated[str | None, typer.Option("--question", help="Which question, where several are open.")] = None,
    digest: Annotated[
        str | None, typer.Option("--digest", help="What you have seen: agree to just that, and to nothing else.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Agree to what is shown, whatever it is.")] = False,
    accept_version: Annotated[
        bool, typer.Option("--accept-version", help="Go on although the workflow or its models have changed.")
    ] = False,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a run waits for, answer it, and go on with the run here.

    Example: flowledger approve 01936f2a --reject "too dear"
    """
    if (answer is not None) + (reject is not None) + yes > 1:
        raise InputError("say one of --answer JSON, --reject WHY and --yes")
    given = None if answer is None else parse_json("--answer", answer)
    loaded = load_app(app, database)

    async def read() -> tuple[QuestionRecord, dict[str, Any]]:
        record = await loaded.ledger.run(run)
        asked = the_one(record, await loaded.questions(record.run_id), question, digest)
        return asked, await values_of(loaded.ledger, asked)

    asked, values = asyncio.run(within(loaded, read))
    print_question(asked, values)
    if asked.kind == "ask" and answer is None and reject is None:
        raise InputError(f"{asked.text!r} asks for a value: give --answer JSON, or --reject WHY")
    if answer is None and reject is None and digest is None and not yes:
        _confirm(asked)

    async def work() -> RunResult:
        await loaded.answer(
            asked.run_id,
            given,
            refuse=reject is not None,
            reason=reject,
            question=asked.question_id,
            digest=asked.digest,
            by=who_says(),
        )
        errors.print(f"[dim]{'refused' if reject is not None else 'answered'}; the run goes on[/dim]")
        return await loaded.resume(asked.run_id, accept_version=accept_version)

    report(loaded, work, heard=None, as_json=as_json)


def _confirm(asked: QuestionRecord) -> None:
    """Go on if somebody agrees.

    Raises:
        InputError: nobody is there who could.
    """
    if not sys.stdin.isatty():
        raise InputError(
            "nobody is here who could agree to what is shown above: "
            f"add --digest {asked.digest[:12]} to agree to just that, or --reject WHY"
        )
    if not typer.confirm("Approve?", err=True):
        errors.print("nothing was said, and the run waits on; --reject WHY refuses", markup=False)
        raise typer.Exit(WAITS)
