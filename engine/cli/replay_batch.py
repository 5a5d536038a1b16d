"""Many replays from the command line: what they will cost, a question, a progress bar, and a table."""

import asyncio
import json
import sys
from dataclasses import dataclass

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from engine.app import App
from engine.cli.options import parse_since, within
from engine.cli.render import console, errors, money, took
from engine.definition.policies import Budget
from engine.errors import InputError
from engine.records import RunRecord, RunStatus
from engine.replay.batch import HowToReplay
from engine.replay.estimate import Estimate
from engine.replay.table import VERDICTS, BatchTable
from engine.store.replay_batches import Selection
from engine.usage import to_usd

_MOST_ROWS = 40  # of a table that somebody looks at; --json has all


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which runs were asked for, as the options say it; `batch` is one that was begun before."""

    status: str | None
    workflow: str | None
    tenant: str | None
    since: str | None
    where: tuple[str, ...]
    sample: int | None
    batch: str | None

    @property
    def selects(self) -> bool:
        """Whether anything was said about runs."""
        return any((self.status, self.workflow, self.tenant, self.since, self.where, self.sample))

    def check(self) -> None:
        """See that either runs or a batch was asked for.

        Raises:
            InputError: both were, or neither, or the status is none.
        """
        if self.batch is None and not self.selects:
            raise InputError("name a run, or select runs with --status, --workflow, --tenant, --since or --where")
        if self.batch is not None and self.selects:
            raise InputError("a batch knows its runs: leave what selects runs out, or --batch")
        if self.status is not None and self.status not in set(RunStatus):
            raise InputError(f"--status {self.status!r}: a run is one of {', '.join(RunStatus)}")

    def __str__(self) -> str:
        """Say it as options."""
        names = ("status", "workflow", "tenant", "since", "sample")
        said = [f"--{name} {getattr(self, name)}" for name in names if getattr(self, name) is not None]
        return " ".join([*said, *(f"--where {condition}" for condition in self.where)])


def replay_many(
    app: App,
    chosen: Chosen,
    how: HowToReplay,
    *,
    estimate: bool,
    yes: bool,
    concurrency: int,
    usd: str | None,
    as_json: bool,
) -> None:
    """Estimate, ask, replay and show; with a batch, go on with it."""
    chosen.check()
    Budget(usd=usd)  # refuses what is no amount before anything is written
    begun = chosen.batch

    async def work() -> Estimate | BatchTable:
        nonlocal begun
        if begun is None:
            runs = await _select(app, chosen)
            expected = await app.estimate(runs, how)
            if estimate:
                return expected
            _ask(expected, how, yes=yes)
            begun = (await app.begin_replays(runs, how, str(chosen))).batch_id
        return await _replay(app, begun, concurrency, usd)

    try:
        found = asyncio.run(within(app, work))
    except KeyboardInterrupt:
        goes_on = f"; `flowledger replay --batch {begun}` goes on with it" if begun else ""
        typer.echo(f"flowledger: interrupted{goes_on}", err=True)
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps(found.to_json(), ensure_ascii=False))
    elif isinstance(found, Estimate):
        console.print(said_of(found), markup=False)
    else:
        show_table(found)
    if isinstance(found, BatchTable) and (found.left or found.counts["broken"]):
        raise typer.Exit(1)


async def _select(app: App, chosen: Chosen) -> list[RunRecord]:
    return await app.select_runs(
        Selection(
            workflow=chosen.workflow,
            status=chosen.status,
            tenant=chosen.tenant,
            since=parse_since(chosen.since, app.clock.now()),
            where=chosen.where,
            sample=chosen.sample,
        )
    )


def _ask(expected: Estimate, how: HowToReplay, *, yes: bool) -> None:
    """Show the bill, and ask whether it is worth it."""
    errors.print(said_of(expected), markup=False)
    if yes or how.recorded or not expected.calls:
        return
    if not sys.stdin.isatty():
        raise InputError(
            "this asks models and may cost that: say --yes to go on, or --estimate to see no more than this"
        )
    if not typer.confirm("go on?", err=True):
        raise typer.Exit(0)


def said_of(expected: Estimate) -> str:
    """Say what replays are expected to ask and cost."""
    if not expected.calls:
        return f"{expected.runs:,} runs; no model is asked anew"
    between = ""
    if expected.low is not None and expected.high is not None:
        between = f" (95 %: {money(to_usd(expected.low))} to {money(to_usd(expected.high))})"
    asked = f"about {expected.calls:,.0f} requests of models in {expected.live_runs:,} of {expected.runs:,} runs"
    return f"{asked}, {expected.tokens:,.0f} tokens, {money(to_usd(expected.nano_usd))}{between}"


async def _replay(app: App, batch_id: str, concurrency: int, usd: str | None) -> BatchTable:
    columns = (TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not sys.stderr.isatty()) as progress:
        batch = await app.replays(batch_id)
        shown = progress.add_task("replaying", total=len(batch.batch.runs), completed=len(batch.rows))
        return await app.replay_all(
            batch_id, concurrency=concurrency, max_usd=usd, on_done=lambda _: progress.advance(shown)
        )


def show_table(found: BatchTable) -> None:
    """Print a row a run, those first that need a look, and what they came to together."""
    order = {verdict: number for number, verdict in enumerate(("broken", "diverged", "fixed", "same"))}
    rows = sorted(found.rows, key=lambda row: (order[row.verdict], row.run_id))
    table = Table(
        *("run", "verdict", "replay"),
        *(Column(name, justify="right") for name in ("played", "live", "cost before", "after")),
        "difference",
        box=None,
        pad_edge=False,
    )
    for row in rows[:_MOST_ROWS]:
        before, after = (money(to_usd(amount)) for amount in (row.cost_before_nano_usd, row.cost_after_nano_usd))
        cells = (row.run_id, row.verdict, row.replay_run_id, f"{row.played:,}", f"{row.live:,}", before, after)
        table.add_row(*cells, (row.difference or "")[:80])
    console.print(table)
    if len(rows) > _MOST_ROWS:
        console.print(f"... and {len(rows) - _MOST_ROWS:,} more: --json has all", markup=False)
    for verdict in VERDICTS:
        share = found.share(verdict)
        interval = f" ({share.low:.0%} to {share.high:.0%} of such runs)" if found.counts[verdict] else ""
        console.print(f"{verdict:9}{found.counts[verdict]:6,}{interval}", markup=False)
    cost = [money(to_usd(found.total(f"cost_{when}_nano_usd"))) for when in ("before", "after")]
    time = [took(found.total(f"calls_{when}_ns")) for when in ("before", "after")]
    console.print(f"spent {money(to_usd(found.spent_nano_usd))}; cost {cost[0]} before, {cost[1]} after", markup=False)
    console.print(f"time in calls {time[0]} before, {time[1]} after; batch {found.batch.batch_id}", markup=False)
    if found.left:
        command = f"flowledger replay --batch {found.batch.batch_id}"
        console.print(f"{found.left:,} runs are left: `{command}` goes on, with more to spend", markup=False)
