"""Travel in time: the state of a run at a step, or at one step after another."""

import json
from collections.abc import Iterator

import typer
from rich.markup import escape

from engine.app import App
from engine.cli.render import console, shown_status
from engine.replay.state_at import StateAt, at_step, states


async def travelled(app: App, run: str) -> tuple[str, list[StateAt]]:
    """Give the id of a run and the state around each of its steps."""
    record = await app.ledger.run(run)
    workflow = (await app.standing()).runnable.get(record.version) or app.workflow(record.workflow)
    return record.run_id, await states(app.ledger, record, workflow)


def show_at(run_id: str, found: list[StateAt], name: str, *, as_json: bool) -> None:
    """Print the state at one step."""
    chosen = at_step(found, run_id, name)
    if as_json:
        typer.echo(json.dumps(chosen.to_json(), ensure_ascii=False))
    else:
        for line in _lines(chosen):
            console.print(line, soft_wrap=True)


def walk(found: list[StateAt]) -> None:
    """Show step after step, each when Enter is pressed."""
    for number, one in enumerate(found, 1):
        for line in _lines(one):
            console.print(line, soft_wrap=True)
        if number < len(found) and typer.prompt("Enter goes on, q stops", default="", show_default=False) == "q":
            return


def _lines(at: StateAt) -> Iterator[str]:
    visit = f" (visit {at.step.visit})" if at.step.visit > 1 else ""
    yield f"[bold]{escape(at.step.node_name)}[/bold]{visit}  {shown_status(at.step.status)}"
    for name, value in at.after.items():
        shown = escape(json.dumps(value, ensure_ascii=False))
        if name in at.wrote:
            was = escape(json.dumps(at.before.get(name), ensure_ascii=False))
            yield f"  {escape(name)}: [green]{shown}[/green]  [dim]was {was}[/dim]"
        else:
            yield f"  {escape(name)}: {shown}"
