"""flowledger resume, cancel and resolve: a run goes on, ends, or is told what became of an action."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, TypeVar

import typer
from pydantic import ValidationError

from engine.app import App
from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption
from engine.cli.render import console, run_tree
from engine.cli.run import report
from engine.definition.policies import Budget
from engine.errors import DefinitionError, InputError
from engine.records import CallRecord, RunRecord
from engine.runtime.result import RunResult

Found = TypeVar("Found")
RunArgument = Annotated[str, typer.Argument(help="The run's id, or a beginning or end that fits one run only.")]


def resume(
    run: RunArgument,
    accept_version: Annotated[
        bool, typer.Option("--accept-version", help="Go on although the workflow or its models have changed.")
    ] = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Take the run even from a process that seems to live.")
    ] = False,
    usd: Annotated[str | None, typer.Option(help="What the whole run may cost from now on, in USD.")] = None,
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
        budget = await _budget(loaded, run, usd, tokens, seconds)
        return await loaded.resume(run, accept_version=accept_version, take_over=take_over, budget=budget)

    report(_within(loaded, work), heard=None, as_json=as_json)


def cancel(
    run: RunArgument, app: AppOption = None, database: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """End a running run, whichever process has it, and show what was cut.

    Example: flowledger cancel 01936f2a
    """
    loaded = load_app(app, database)

    async def work() -> tuple[Any, ...]:
        record: RunRecord = await loaded.cancel(run)
        ledger, run_id = loaded.ledger, record.run_id
        return record, await ledger.steps(run_id), await ledger.calls(run_id), await ledger.verdicts(run_id)

    record, steps, calls, verdicts = asyncio.run(_within(loaded, work))
    if as_json:
        cut = [call.call_id for call in calls if call.status in ("cancelled", "unknown")]
        nodes = [step.node_name for step in steps if step.status == "cancelled"]
        typer.echo(json.dumps({"run_id": record.run_id, "status": record.status, "nodes": nodes, "calls": cut}))
    else:
        console.print(run_tree(record, steps, calls, verdicts, {}), soft_wrap=True)


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
    try:
        answer = None if done is None else json.loads(done, parse_constant=_no_number)
    except ValueError as error:
        raise InputError(f"--done takes JSON, and {done!r} is not JSON: {error}; a text is '\"like this\"'") from error
    loaded = load_app(app, database)

    async def work() -> CallRecord:
        return await loaded.resolve(run, call, done=done is not None, answer=answer)

    settled = asyncio.run(_within(loaded, work))
    if as_json:
        typer.echo(json.dumps({"run_id": settled.run_id, "call_id": settled.call_id, "done": done is not None}))
        return
    what = "is taken as done" if done is not None else "will be done when the run goes on"
    console.print(
        f"{settled.tool_name} at {settled.node_name} {what}: flowledger resume {settled.run_id}",
        markup=False,
        soft_wrap=True,
    )


async def _within(app: App, work: Callable[[], Awaitable[Found]]) -> Found:
    async with app:
        return await work()


async def _budget(app: App, run: str, usd: str | None, tokens: int | None, seconds: float | None) -> Budget | None:
    """Give the workflow's budget with what was said in place of it; None if nothing was."""
    try:
        said: dict[str, Any] = {"usd": None if usd is None else Decimal(usd), "tokens": tokens, "seconds": seconds}
    except InvalidOperation as error:
        raise InputError(f"--usd {usd!r} is not an amount like 0.25") from error
    given = {name: value for name, value in said.items() if value is not None}
    if not given:
        return None
    record = await app.ledger.run(run)
    whole = app.workflow(record.workflow).budget.model_dump(exclude_none=True)
    try:
        return Budget(**(whole | given))
    except (ValidationError, DefinitionError) as error:
        raise InputError(f"--usd, --tokens or --seconds is not an amount greater than 0: {given}") from error


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
