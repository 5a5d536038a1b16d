"""flowledger replay: a recorded run again, for nothing; or with a change, asking only for what the change reaches."""

import asyncio
import json
from collections.abc import Mapping
from typing import Annotated, Any, cast

import typer

from engine.app import App
from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, SinceOption, parse_json, within
from engine.cli.render import console, money, print_result
from engine.cli.replay_batch import Chosen, replay_many
from engine.definition.policies import Budget
from engine.errors import InputError
from engine.replay.batch import HowToReplay
from engine.replay.replays import Replayed

RecordedOption = Annotated[
    bool, typer.Option("--recorded", help="Ask nobody: what was not recorded ends the replay, and is named.")
]
FromOption = Annotated[
    str | None, typer.Option("--from", help="Ask everything anew from this node on, as in draft or draft#2.")
]
StateOption = Annotated[
    str | None, typer.Option("--state", help="Fields that hold something else from that node on, as JSON.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A change: model.ROLE=SPEC, prompt.NODE=TEXT or @FILE, node.NODE.FIELD=VALUE, "
        "guardrail.NAME.FIELD=VALUE, budget.FIELD=VALUE.",
    ),
]
VersionOption = Annotated[
    str | None, typer.Option("--workflow-version", help="Run this version of the workflow, not the code's.")
]
EffectsOption = Annotated[
    bool, typer.Option("--live-effects", help="Let tools that act once be called where no call was recorded.")
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option("--where", help="Select by any column, as in error_type=NodeFailed or calls.request_model~gpt."),
]


def replay(
    run: Annotated[
        str | None, typer.Argument(help="The run's id, or a beginning or end of it; none to replay a selection.")
    ] = None,
    recorded: RecordedOption = False,
    since_node: FromOption = None,
    state: StateOption = None,
    settings: SetOption = None,
    workflow_version: VersionOption = None,
    live_effects: EffectsOption = False,
    max_cost: Annotated[str | None, typer.Option("--max-cost", help="What it may cost in all, in USD.")] = None,
    status: Annotated[str | None, typer.Option(help="Select runs of this status, as in failed.")] = None,
    workflow: Annotated[str | None, typer.Option(help="Select runs of this workflow.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Select runs for this tenant.")] = None,
    since: SinceOption = None,
    where: WhereOption = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Only so many of them, the same ones each time.")] = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Say what it would ask and cost, and stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before money is spent.")] = False,
    concurrency: Annotated[int, typer.Option(min=1, help="How many replays at once.")] = 8,
    batch: Annotated[str | None, typer.Option("--batch", help="Go on with this batch of replays.")] = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run recorded runs again, as new runs; what was recorded is neither asked nor paid again.

    Example: flowledger replay --status failed --since 1d --workflow triage --set prompt.sort=@better.md
    """
    loaded = load_app(app, database)
    how = HowToReplay(
        settings=tuple(settings or ()),
        recorded=recorded,
        since=since_node,
        state=_state(state),
        version=workflow_version,
        live_effects=live_effects,
    )
    selects = any(one is not None for one in (status, workflow, tenant, since, where, sample))
    if run is None:
        chosen = Chosen(status, workflow, tenant, since, tuple(where or ()), sample, batch)
        replay_many(
            loaded, chosen, how, estimate=estimate, yes=yes, concurrency=concurrency, usd=max_cost, as_json=as_json
        )
        return
    if selects or estimate or batch:
        raise InputError("name one run, or select many with --status, --workflow, --since ...; not both")
    _show(asyncio.run(within(loaded, lambda: _one(loaded, run, how, max_cost))), how, as_json=as_json)


async def _one(app: App, run: str, how: HowToReplay, max_cost: str | None) -> Replayed:
    record = await app.ledger.run(run)
    workflow = await app.changed_workflow(record.workflow, how)
    limits: dict[str, Any] = workflow.budget.model_dump() | {"usd": max_cost}
    async with app.with_models(how.changes.models) as cast_of:
        budget = Budget(**limits) if max_cost else None
        return await cast_of.replay_as(how, record.run_id, workflow, budget=budget)


def _show(found: Replayed, how: HowToReplay, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found.to_json(), ensure_ascii=False))
    else:
        print_result(found.result, lambda _: False)
        spent = money(found.result.cost_usd)
        console.print(f"{found.played:,} attempts from the tape, {found.live:,} made, {spent}", markup=False)
        console.print(f"differs: {found.difference}" if found.difference else "it ended as before", markup=False)
    if found.difference and how.recorded:
        raise typer.Exit(1)


def _state(text: str | None) -> Mapping[str, Any]:
    value: Any = {} if text is None else parse_json("--state", text)
    if not isinstance(value, dict):
        raise InputError(f"--state takes a JSON object of fields, not {text!r}")
    return cast("dict[str, Any]", value)
