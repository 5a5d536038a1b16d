"""flowledger dataset: cases made of recorded runs or of files, kept in versions."""

import asyncio
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from engine.app import App
from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, SinceOption, parse_since, within
from engine.cli.render import console, moment
from engine.errors import InputError, why_not
from engine.evals.case import Case, read_cases
from engine.evals.datasets import ALIKE, Added
from engine.json_lines import lines_in

commands = typer.Typer(help="Datasets of cases.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(help="The dataset's name.")]
VersionOption = Annotated[
    str | None, typer.Option("--version", help="The version, or a beginning of it; else the newest.")
]
SplitOption = Annotated[str | None, typer.Option("--split", help="Only cases of this split.")]


@commands.command("add")
def add(
    name: NameArgument,
    runs: Annotated[
        list[str] | None, typer.Option("--from-run", help="A run to make a case of; may be given more than once.")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            *("--where", "--query"),
            help="Runs to make cases of: status=failed,workflow=ask; also version, tenant, user, outcome.",
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option("--file", help="Cases, one JSON object a line, as `dataset export` writes; - is standard input."),
    ] = None,
    since: SinceOption = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="How many runs --where takes at the most, the newest.")
    ] = 1_000,
    expect: Annotated[
        str | None,
        typer.Option("--expect", help="Fields of a run's output, with commas, that later runs are to come to."),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="The split of cases that name none.")] = "dev",
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A tag of cases that have none.")] = None,
    must_pass: Annotated[bool, typer.Option("--must-pass", help="A gate fails where one of them does.")] = False,
    alike: Annotated[
        float, typer.Option("--alike", help="How alike two inputs are that count as one, up to 1.")
    ] = ALIKE,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add cases to a dataset; what is nearly the same as one that is there is left out.

    Example: flowledger dataset add regressions --where status=failed --since 7d
    """
    if sum(given is not None for given in (runs, where, file)) != 1:
        raise InputError("say where the cases are from: --from-run RUN, --where status=failed, or --file FILE")
    loaded = load_app(app, database)
    fields = {"split": split, "tags": tuple(tag or ()), "must_pass": must_pass}

    async def work() -> Added:
        if file is not None:
            return await loaded.add_cases(name, read_cases(_lines(file), f"--file {file}", **fields), alike=alike)
        began = parse_since(since, loaded.clock.now())
        ids = runs if where is None else await loaded.runs_where(_conditions(where), since=began, limit=limit)
        fields_expected = [field.strip() for field in (expect or "").split(",") if field.strip()]
        cases = await loaded.cases_from_runs(ids or [], expect=fields_expected, **fields)
        return await loaded.add_cases(name, cases, alike=alike)

    _tell(asyncio.run(within(loaded, work)), as_json=as_json)


@commands.command("list")
def list_them(app: AppOption = None, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """List datasets, the newest version of each.

    Example: flowledger dataset list
    """
    loaded = load_app(app, database)
    found = asyncio.run(within(loaded, loaded.datasets))
    if as_json:
        rows = [{"name": one.name, "version": one.version, "cases": one.cases, "versions": many} for one, many in found]
        typer.echo(json.dumps(rows))
        return
    numbers = [Column(name, justify="right") for name in ("cases", "versions")]
    table = Table("name", "version", *numbers, "since", box=None, pad_edge=False)
    for one, many in found:
        table.add_row(escape(one.name), one.version[:12], f"{one.cases:,}", f"{many:,}", moment(one.created_at))
    console.print(table if found else "there is no dataset yet: `flowledger dataset add` makes one")


@commands.command("show")
def show(
    name: NameArgument,
    version: VersionOption = None,
    split: SplitOption = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the cases of a dataset.

    Example: flowledger dataset show regressions --split test
    """
    cases = _cases(load_app(app, database), name, version, split)
    if as_json:
        typer.echo(json.dumps([{"case_id": case.case_id, **case.to_json()} for case in cases], ensure_ascii=False))
        return
    table = Table("case", "split", "tags", "from", "input", "expected", box=None, pad_edge=False)
    for case in cases:
        expected = "" if case.expect is None else _short(dict(case.expect))
        origin = case.run_id[-12:] if case.run_id else case.source
        must = "[bold]must pass[/bold] " if case.must_pass else ""
        told = (must + escape(" ".join(case.tags)), origin, escape(_short(dict(case.input))), escape(expected))
        table.add_row(case.case_id, escape(case.split), *told)
    console.print(table)


@commands.command("export")
def export(
    name: NameArgument,
    version: VersionOption = None,
    split: SplitOption = None,
    app: AppOption = None,
    database: DatabaseOption = None,
) -> None:
    """Print the cases of a dataset, one JSON object a line; `dataset add --file` reads it again.

    Example: flowledger dataset export regressions > cases.jsonl
    """
    for case in _cases(load_app(app, database), name, version, split):
        typer.echo(json.dumps(case.to_json(), ensure_ascii=False))


def _cases(app: App, name: str, version: str | None, split: str | None) -> Sequence[Case]:
    _, cases = asyncio.run(within(app, lambda: app.dataset(name, version=version, split=split)))
    return cases


def _conditions(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in re.split(r",|\sand\s", text, flags=re.IGNORECASE) if part.strip()]
    found = {name.strip(): value.strip().strip("'\"") for name, _, value in pairs}
    if not found or not all(name and value for name, value in found.items()):
        raise InputError(f"--where {text!r}: write conditions like status=failed,workflow=ask")
    return found


def _lines(file: str) -> list[str]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--file {file}: the file cannot be read: {why_not(error)}") from error
    return lines_in(text)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _tell(added: Added, *, as_json: bool) -> None:
    one = added.dataset
    if as_json:
        plain = {"name": one.name, "version": one.version, "cases": one.cases, "added": list(added.added)}
        typer.echo(json.dumps(plain | {"merged": added.merged, "refused": list(added.refused)}))
        return
    said = f"{one.name}@{one.version[:12]}: {len(added.added):,} added, {one.cases:,} in all"
    merged = f", {added.merged:,} nearly the same as others left out" if added.merged else ""
    console.print(said + merged, markup=False)
    for why in added.refused:
        console.print(why, markup=False)
