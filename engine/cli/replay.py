"""flowledger replay: a recorded run again, for nothing; or with a change, asking only for what the change reaches."""

import asyncio
import json
from typing import Annotated, Any

import typer

from engine.app import App
from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, RunArgument, within
from engine.cli.render import console, money, print_result
from engine.definition.policies import Budget
from engine.replays import Changes, Replayed


def replay(
    run: RunArgument,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Ask nobody: what was not recorded ends the replay, and is named.")
    ] = False,
    since: Annotated[
        str | None, typer.Option("--from", help="Ask everything anew from this node on, as in draft or draft#2.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A change: model.ROLE=SPEC, prompt.NODE=TEXT or @FILE, node.NODE.FIELD=VALUE."),
    ] = None,
    live_effects: Annotated[
        bool, typer.Option("--live-effects", help="Let tools that act once be called where no call was recorded.")
    ] = False,
    max_cost: Annotated[str | None, typer.Option("--max-cost", help="What the replay may cost, in USD.")] = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a recorded run again, as a new run; what was recorded is neither asked nor paid again.

    Example: flowledger replay 01936f2a --set prompt.draft=@better.md
    """
    changes = Changes.of(settings or [])
    loaded = with_models(load_app(app, database), changes)

    async def work() -> Replayed:
        name = (await loaded.ledger.run(run)).workflow
        workflow = changes.applied_to(loaded.workflow(name))
        limits: dict[str, Any] = workflow.budget.model_dump() | {"usd": max_cost}
        budget = Budget(**limits) if max_cost else None
        return await loaded.replay(
            run, recorded=recorded, since=since, workflow=workflow, live_effects=live_effects, budget=budget
        )

    found = asyncio.run(within(loaded, work))
    if as_json:
        typer.echo(json.dumps(found.to_json(), ensure_ascii=False))
    else:
        print_result(found.result, lambda _: False)
        spent = money(found.result.cost_usd)
        console.print(f"{found.played:,} attempts from the tape, {found.live:,} made, {spent}", markup=False)
        console.print(f"differs: {found.difference}" if found.difference else "it ended as before", markup=False)
    if recorded and found.difference:
        raise typer.Exit(1)


def with_models(app: App, changes: Changes) -> App:
    """Give an app in which other models play some roles."""
    if not changes.models:
        return app
    return App(
        workflows=app.workflows.values(),
        models={**app.models, **changes.models},
        database=app.database,
        keep_checkpoints=app.keep_checkpoints,
        spend_limits=app.spend_limits,
        limits=app.limits,
        indexer=app.indexer,
        evaluation=app.evaluation,
        clock=app.clock,
    )
