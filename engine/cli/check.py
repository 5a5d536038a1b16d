"""flowledger check: every workflow of the app with its version, graph and worst case."""

import json
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.table import Table

from engine.app import App
from engine.cli.loading import load_app
from engine.cli.options import AppOption, JsonOption
from engine.cli.render import console
from engine.definition.workflow import Workflow
from engine.usage import to_usd


def check(
    workflow: Annotated[str | None, typer.Argument(help="One workflow; all of the app's if not given.")] = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print the graph as a Mermaid flowchart.")] = False,
    app: AppOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check every workflow: version, nodes and what a run can cost at the most.

    Example: flowledger check answer-docs --mermaid
    """
    loaded = load_app(app)
    chosen = [loaded.workflow(workflow)] if workflow else list(loaded.workflows.values())
    loaded.check_limits()
    if mermaid:
        for one in chosen:
            typer.echo(one.mermaid())
    elif as_json:
        typer.echo(json.dumps([_facts(loaded, one) for one in chosen]))
    else:
        _print(loaded, chosen)


def _facts(app: App, workflow: Workflow) -> dict[str, Any]:
    calls = app.worst_case(workflow)
    known = [cost for _, cost in calls if cost is not None]
    graph = to_usd(sum(known)) if len(known) == len(calls) else None
    unbounded = [f"{call.node} ({call.role})" for call, cost in calls if cost is None]
    budget = None if workflow.budget.usd is None else Decimal(workflow.budget.usd)
    limits = [usd for usd in (graph, budget) if usd is not None]
    return {
        "workflow": workflow.name,
        "version": workflow.version,
        "nodes": len(workflow.nodes),
        "model_calls": sum(call.calls for call, _ in calls),
        "budget_usd": None if budget is None else f"{budget:f}",
        "graph_usd": None if graph is None else f"{graph:f}",
        "worst_case_usd": f"{min(limits):f}" if limits else None,
        "unbounded": unbounded,
    }


def _print(app: App, workflows: list[Workflow]) -> None:
    table = Table("workflow", "version", "nodes", "model calls", "budget", "worst case", box=None, pad_edge=False)
    for workflow in workflows:
        facts = _facts(app, workflow)
        budget, worst = facts["budget_usd"], facts["worst_case_usd"]
        table.add_row(
            workflow.name,
            workflow.version[:12],
            str(facts["nodes"]),
            f"at most {facts['model_calls']}",
            f"${budget}" if budget else "none",
            f"${worst}" if worst else f"unbounded: no length or price known for {', '.join(facts['unbounded'])}",
        )
    console.print(table)
