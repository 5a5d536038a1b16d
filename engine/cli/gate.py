"""flowledger eval gate: whether a candidate may take the place of a baseline, as an exit code and as reports."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from engine.app import App
from engine.cli.loading import load_app
from engine.cli.metrics import ConcurrencyOption, MaxCostOption, plan_of
from engine.cli.options import AppOption, DatabaseOption, JsonOption, who_says, within
from engine.cli.render import console, errors
from engine.errors import InputError
from engine.evals.buying import Bought
from engine.evals.consequences import TakenBack
from engine.evals.gate import Decision, Gate, Policy
from engine.evals.gate_report import figure, to_html, to_json, to_junit, to_markdown

_EXIT_CODES = {Decision.PASS: 0, Decision.FAIL: 1, Decision.INCONCLUSIVE: 4}
_COLOURS = {Decision.PASS: "green", Decision.FAIL: "red", Decision.INCONCLUSIVE: "yellow"}
MetricOption = Annotated[
    list[str] | None,
    typer.Option("--metric", help="A metric that is gated, else all; may be given more than once."),
]
AtLeastOption = Annotated[
    list[str] | None,
    typer.Option("--at-least", help="The least mean of a metric, as in no-leak=1; may be given more than once."),
]
RollBackOption = Annotated[
    str | None, typer.Option("--roll-back", help="On FAIL, have this name stand for the release before.")
]
BuyOption = Annotated[
    int | None,
    typer.Option(
        "--buy-trials", min=1, help="Where the trials do not tell, run so many more for each side, and look once more."
    ),
]
RegressionsOption = Annotated[
    str, typer.Option("--regressions", help="Where the cases that got worse are kept when it is rolled back.")
]


def gate(
    baseline: Annotated[str, typer.Argument(help="The experiment as it was: its name or id.")],
    candidate: Annotated[str, typer.Argument(help="The experiment as it would be.")],
    metric: MetricOption = None,
    margin: Annotated[float, typer.Option("--margin", help="How much a mean may drop, from 0 to 1.")] = 0.05,
    level: Annotated[
        float, typer.Option("--level", help="How likely a false FAIL is at the most, and how unsure a PASS may be.")
    ] = 0.05,
    at_least: AtLeastOption = None,
    p95: Annotated[
        float | None, typer.Option("--p95", min=0, help="How many seconds 95 % of runs may take at the most.")
    ] = None,
    usd_per_run: Annotated[
        float | None, typer.Option("--usd-per-run", min=0, help="What a run may cost on average, in USD.")
    ] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit XML to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Write Markdown to this file.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write one HTML file that stands alone.")] = None,
    buys: BuyOption = None,
    concurrency: ConcurrencyOption = 4,
    max_cost: MaxCostOption = None,
    rolls_back: RollBackOption = None,
    regressions: RegressionsOption = "regressions",
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say PASS (exit code 0), FAIL (1) or INCONCLUSIVE (4) from two recorded experiments.

    Nothing is run but what --buy-trials asks for.

    Example: flowledger eval gate before after --metric equals-verdict --junit gate.xml
    """
    policy = _policy(metric, margin, level, at_least, p95, usd_per_run)
    if buys is None and max_cost is not None:
        raise InputError("--max-cost is for trials that are bought: say how many with --buy-trials")
    _see_to_folders(junit, markdown, html)  # before anything is bought or rolled back
    loaded = load_app(app, database)
    plan = plan_of(None, concurrency, max_cost)

    async def work() -> Gate:
        one, other = [await _ended(loaded, name) for name in (baseline, candidate)]
        if buys is None:
            found = await loaded.gate(one, other, policy)
        else:
            found = _told(await loaded.gate_buying(one, other, policy, trials=buys, plan=plan))
        if rolls_back and found.decision is Decision.FAIL:
            which = (found, baseline, candidate)
            _tell(await loaded.take_back(*which, release=rolls_back, dataset=regressions, by=who_says()))
        return found

    found = asyncio.run(within(loaded, work))
    for file, write in ((junit, to_junit), (markdown, to_markdown), (html, to_html)):
        if file is not None:
            _write(file, write(found, f"{baseline} to {candidate}"))
    if as_json:
        typer.echo(json.dumps(to_json(found)))
    else:
        _show(found)
    raise typer.Exit(_EXIT_CODES[found.decision])


def _policy(
    metric: list[str] | None,
    margin: float,
    level: float,
    at_least: list[str] | None,
    p95: float | None,
    usd_per_run: float | None,
) -> Policy:
    if not 0 < margin < 1 or not 0 < level < 0.5:
        raise InputError("--margin is between 0 and 1, and --level between 0 and 0.5")
    return Policy(
        metrics=metric or (),
        margin=margin,
        level=level,
        at_least=dict(map(_least, at_least or ())),
        p95_seconds=p95,
        usd_per_run=usd_per_run,
    )


async def _ended(app: App, name: str) -> str:
    record = await app.experiment_named(name)
    if record.ended_at is None:
        errors.print(f"the experiment {record.experiment_id} is unfinished: cases that it left out do not count")
    return record.experiment_id


def _told(bought: Bought) -> Gate:
    many = sum(bought.trials.values())
    wanted = f"{many:,} of {len(bought.trials):,} cases were wanted for each side"
    told = f"bought {bought.runs:,} trials; {wanted}" if many else "nothing was bought"
    for line in (told, bought.left_out, bought.stopped and f"not all were run: {bought.stopped}"):
        if line:
            errors.print(line, markup=False, soft_wrap=True)
    return bought.gate


def _tell(done: TakenBack) -> None:
    version = done.release.version[:12] if done.release.version else "what the code says"
    kept = f"{len(done.cases):,} cases that got worse are in the dataset {done.dataset.name}"
    errors.print(f"{done.release.name} is {version} again; {kept}", markup=False, soft_wrap=True)


def _least(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    try:
        least = float(value)
    except ValueError:
        least = -1.0
    if not equals or not 0 <= least <= 1:
        raise InputError(f"--at-least {text!r}: write a metric and a share, as in no-leak=1")
    return name, least


def _see_to_folders(*files: Path | None) -> None:
    for file in files:
        if file is not None and (file.is_dir() or not file.parent.is_dir()):
            raise InputError(
                f"{file} cannot be written: {'it is a folder' if file.is_dir() else 'its folder is missing'}"
            )


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}: name a file in a folder that is") from error


def _show(found: Gate) -> None:
    numbers = [Column(name, justify="right") for name in ("cases", "before", "after", "at least", "p", "detectable")]
    table = Table("metric", *numbers, "", box=None, pad_edge=False)
    for one in found.metrics:
        finds = "-" if one.detectable is None else f"{one.detectable:.3f}"
        figures = (f"{one.cases:,}", *map(figure, (one.baseline, one.candidate, one.low)), f"{one.adjusted:.4f}")
        table.add_row(escape(one.name), *figures, finds, _coloured(one.decision))
    console.print(table)
    for one in found.metrics:
        if one.flaky:
            console.print(f"{one.name}: flaky cases {', '.join(one.flaky)}", markup=False)
    for limit in found.limits:
        console.print(f"{_coloured(limit.decision)} {escape(limit.name)} {escape(limit.reason)}")
    console.print(_coloured(found.decision))
    for reason in found.reasons:
        console.print(f"  {reason}", markup=False)


def _coloured(decision: Decision) -> str:
    return f"[{_COLOURS[decision]}]{decision}[/{_COLOURS[decision]}]"
