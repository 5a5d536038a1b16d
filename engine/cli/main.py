"""The command `flowledger`: its families of commands, and how errors become exit codes.

Exit codes: 0 done, 1 the run failed or was blocked, 2 usage or configuration, 3 provider or infrastructure, 4 the run
waits for a person, 130 interrupted.
"""

import functools
import os
import sys
from typing import Annotated, Any

import typer

from engine.cli import (
    alarms,
    approve,
    batch,
    breakers,
    cache,
    chaos,
    check,
    cost,
    dataset,
    db,
    enqueue,
    estimate,
    evaluate,
    events,
    export,
    guard,
    health,
    index,
    outcome,
    prices,
    queue,
    recover,
    replay,
    routes,
    run,
    runs,
    schedule,
    serve,
    spend,
    tape,
    token,
    versions,
    worker,
    workers,
)
from engine.errors import EngineError
from engine.runtime.provenance import engine_version

HELP = """Agentic workflows with guardrails, budgets and a SQL ledger of every step.

Data goes to standard output, the rest to standard error. Exit codes: 0 done, 1 the run failed or was blocked, 2 usage
or configuration, 3 provider or infrastructure, 4 the run waits for a person, 130 interrupted.

Example: flowledger run answer-docs question="What is a budget?"
"""

cli = typer.Typer(
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cli.command("run")(run.run)
cli.command("enqueue")(enqueue.enqueue)
cli.command("worker")(worker.worker)
cli.command("serve")(serve.serve)
cli.add_typer(token.commands, name="token")
cli.add_typer(queue.commands, name="queue")
cli.add_typer(batch.commands, name="batch")
cli.add_typer(schedule.commands, name="schedule")
cli.add_typer(breakers.commands, name="breakers")
cli.add_typer(cache.commands, name="cache")
cli.command("events")(events.events)
cli.add_typer(workers.commands, name="workers")
cli.command("requeue")(queue.requeue)
cli.command("resume")(recover.resume)
cli.command("replay")(replay.replay)
cli.command("cancel")(recover.cancel)
cli.command("resolve")(recover.resolve)
cli.command("approve")(approve.approve)
cli.command("runs")(runs.runs)
cli.command("show")(runs.show)
cli.add_typer(tape.commands, name="tape")
cli.command("versions")(versions.versions)
cli.command("diff")(versions.diff)
cli.add_typer(versions.commands, name="release")
cli.command("check")(check.check)
cli.add_typer(cost.commands, name="cost")
cli.command("routes")(routes.routes)
cli.command("estimate")(estimate.estimate)
cli.add_typer(outcome.commands, name="outcome")
cli.add_typer(dataset.commands, name="dataset")
cli.add_typer(evaluate.commands, name="eval")
cli.add_typer(alarms.commands, name="alarms")
cli.command("health")(health.health)
cli.add_typer(export.commands, name="export")
cli.command("spend")(spend.spend)
cli.command("chaos")(chaos.chaos)
cli.command("index")(index.index)
cli.add_typer(guard.commands, name="guard")
cli.add_typer(prices.commands, name="prices")
cli.add_typer(db.commands, name="db")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(engine_version())
        raise typer.Exit


@cli.callback(help=HELP)
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Read the options that stand before the command."""
    del version


@functools.cache
def _command() -> Any:
    """Give what the command line is parsed with; to make it of every signature takes longer than many a command."""
    return typer.main.get_command(cli)


def main() -> None:
    """Run the command line; every known error is one sentence on standard error and an exit code."""
    try:
        _command()()
    except EngineError as error:
        typer.echo(f"flowledger: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of our output has left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    main()
