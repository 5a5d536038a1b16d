"""flowledger resume, cancel and resolve: a run goes on, ends, or is told what became of an action."""

import asyncio
import json
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from engine.app import App
from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, RunArgument, parse_json, who_says, within
from engine.cli.render import console
from engine.cli.run import report
from engine.cli.tree import Recorded, run_tree
from engine.definition.policies import Budget
from engine.errors import DefinitionError, InputError
from engine.records import CallRecord
from engine.runtime.result import RunResult


def resume(
    run: RunArgument,
    accept_version: Annotated[
        bool, typer.Option("--accept-version", help="Go on although the workflow or its models have changed.")
    ] = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Take the run even from a process that seems to live.")
    ] = False,
    usd: Annotated[str | None, typer.Option(help="What the whole run may cost from now on, in USD.")] = None,
    add_budget: Annotated[
        str | None, typer.Option("--add-budget", help="What it may cost on top of what it was allowed, in USD.")
    ] = None,
    tokens: Annotated[int | None, typer.Option(min=1, help="How many tokens the whole run may use.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.001, help="How long the whole run may work.")] = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go on with a run that crashed, failed, was cancelled or used up its budget; nothing finished is paid again.

    Example: flowledger resume 01936f2a
    """
    loaded = load_app(app, database)

    async def work() -> RunResult:
        budget = await _budget(loaded, run, usd, add_budget, tokens, seconds)
        return await loaded.resume(run, accept_version=accept_version, take_over=take_over, budget=budget)

    report(loaded, work, heard=None, as_json=as_json)


def cancel(
    run: RunArgument, app: AppOption = None, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """End a run that is running or waits for a person, whichever process has it, and show what was cut.

    Example: flowledger cancel 01936f2a
    """
    loaded = load_app(app, database)

    async def work() -> Recorded:
        return await Recorded.of(loaded.ledger, (await loaded.cancel(run, by=who_says())).run_id)

    found = asyncio.run(within(loaded, work))
    if as_json:
        cut = [call.call_id for call in found.calls if call.status in ("cancelled", "unknown")]
        nodes = [step.node_name for step in found.steps if step.status == "cancelled"]
        ended = {"run_id": found.run.run_id, "status": found.run.status}
        typer.echo(json.dumps(ended | {"nodes": nodes, "calls": cut}))
    else:
        console.print(run_tree(found, {}), soft_wrap=True)


def resolve(
    run: RunArgument,
    call: Annotated[str, typer.Argument(help="The call whose outcome is unknown, as `flowledger show` names it.")],
    done: Annotated[str | None, typer.Option("--done", help="It was done, and answered this JSON.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="It was not done; do it when the run goes on.")] = False,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what became of an action whose outcome nobody knew; then the run can be resumed.

    Example: flowledger resolve 01936f2a 5c1b --done '"T-000017"'
    """
    if (done is None) == (not retry):
        raise InputError("say either --done JSON, with what the action answered, or --retry")
    answer = None if done is None else parse_json("--done", done)
    loaded = load_app(app, database)

    async def work() -> CallRecord:
        return await loaded.resolve(run, call, done=done is not None, answer=answer)

    settled = asyncio.run(within(loaded, work))
    if as_json:
        typer.echo(json.dumps({"run_id": settled.run_id, "call_id": settled.call_id, "done": done is not None}))
        return
    what = "is taken as done" if done is not None else "will be done when the run goes on"
    console.print(
        f"{settled.tool_name} at {settled.node_name} {what}: flowledger resume {settled.run_id}",
        markup=False,
        soft_wrap=True,
    )


async def _budget(
    app: App, run: str, usd: str | None, more: str | None, tokens: int | None, seconds: float | None
) -> Budget | None:
    """Give what the run was allowed with what was said in place of it; None if nothing was."""
    if usd is not None and more is not None:
        raise InputError("say --usd, what it may cost in all, or --add-budget, what it may cost on top")
    said: dict[str, Any] = {"usd": _amount("--usd", usd), "tokens": tokens, "seconds": seconds}
    given = {name: value for name, value in said.items() if value is not None}
    added = _amount("--add-budget", more)
    if not given and added is None:
        return None
    record = await app.ledger.run(run)
    allowed = app.workflow(record.workflow).budget
    if record.budget_payload is not None:
        allowed = Budget.model_validate_json(record.budget_payload)
    if added is not None:
        if allowed.usd is None:
            raise InputError("the run has no budget in USD to add to: say --usd, what it may cost in all")
        given["usd"] = Decimal(allowed.usd) + added
    try:
        return Budget(**(allowed.model_dump(exclude_none=True) | given))
    except (ValidationError, DefinitionError) as error:
        raise InputError(f"--usd, --tokens or --seconds is not an amount greater than 0: {given}") from error


def _amount(option: str, text: str | None) -> Decimal | None:
    try:
        return None if text is None else Decimal(text)
    except InvalidOperation as error:
        raise InputError(f"{option} {text!r} is not an amount like 0.25") from error
