"""flowledger eval judge: how far a judge agrees with people, and what its verdicts then say."""

import asyncio
import json
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, within
from engine.cli.render import console
from engine.evals.calibration import Calibrated


def judge(
    experiment: Annotated[str, typer.Argument(help="The experiment that it judged: its name or id.")],
    metric: Annotated[str, typer.Argument(help="The judge's metric, as `eval show` names it.")],
    expect: Annotated[
        str | None,
        typer.Option(
            "--expect", help="The field of the cases that says true or false; else outcomes of the runs count."
        ),
    ] = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold a judge against labels of people: agreement, kappa, recall, precision, and the rate that its verdicts mean.

    Example: flowledger eval judge before is-polite
    """
    loaded = load_app(app, database)
    found = asyncio.run(within(loaded, lambda: loaded.calibrate(experiment, metric, expect=expect)))
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    else:
        _show(found)


def _show(found: Calibrated) -> None:
    said = found.to_json()
    table = Table("", *(Column(name, justify="right") for name in ("", "95 %", "of")), box=None, pad_edge=False)
    for name in ("agreed", "recall", "specificity", "precision"):
        table.add_row(name, _figure(said[name]["share"]), _ends(said[name]["interval"]), f"{said[name]['of']:,}")
    table.add_row("kappa", _figure(said["kappa"]), _ends(said["kappa_interval"]), f"{said['labelled']:,}")
    if found.unlabelled:
        table.add_row("judged good", _figure(said["judged_rate"]), "", f"{found.unlabelled:,} without a label")
        corrected = (_figure(said["corrected_rate"]), _ends(said["corrected_interval"]))
        table.add_row("truly good", *corrected, f"{found.unlabelled:,} without a label")
    console.print(table)
    if found.order_decided:
        console.print(f"in {found.order_decided:,} of {found.judged:,} comparisons the order decided")
    if found.unsure:
        console.print(f"of {found.unsure:,} trials it could not tell")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _ends(ends: Any) -> str:
    return "-" if ends is None else " to ".join(_figure(end) for end in ends)
