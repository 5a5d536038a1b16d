"""flowledger export table: a table of the ledger as Parquet, CSV or JSON lines."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from engine.cli.loading import load_app
from engine.cli.options import AppOption, DatabaseOption, JsonOption, SinceOption, UntilOption, parse_since
from engine.cli.render import errors, progress
from engine.errors import InputError
from engine.exports.table_files import FORMATS, TableFile
from engine.store.table_rows import TableWanted, table_named

Show = Callable[[str, int, int | None], None]


def table(
    name: Annotated[str, typer.Argument(help="A table of the ledger, as in calls.")],
    to: Annotated[str, typer.Option("--to", help=f"The file, by whose end its format goes: .{', .'.join(FORMATS)}.")],
    content: Annotated[
        bool, typer.Option("--content", help="With what was said: payloads put together, prompts, cases.")
    ] = False,
    since: SinceOption = None,
    until: UntilOption = None,
    app: AppOption = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a table of the ledger to a file; what was said is left out, unless you say --content.

    Example: flowledger export table calls --to calls.parquet --since 30d
    """
    suffix = Path(to).suffix.removeprefix(".").lower()
    if suffix not in FORMATS:
        raise InputError(f"--to {to}: name a file that ends in .{', .'.join(FORMATS)}")
    loaded = load_app(app, database)
    now = loaded.clock.now()
    bounds = {"since": parse_since(since, now), "until": parse_since(until, now, "--until")}
    wanted = TableWanted(table=table_named(name), content=content, **bounds)
    if not wanted.columns:
        raise InputError(f"the table {name} holds nothing but what was said: add --content")

    async def work() -> int:
        async with loaded:
            with progress() as show:
                write = partial(_write, wanted=wanted, to=Path(to), kind=FORMATS[suffix], show=show)
                return await loaded.ledger.read(write)

    rows = asyncio.run(work())
    if as_json:
        told: dict[str, Any] = {"table": name, "to": to, "rows": rows, "left_out": list(wanted.left_out)}
        typer.echo(json.dumps(told))
    else:
        left = f"; left out: {', '.join(wanted.left_out)}" if wanted.left_out else ""
        errors.print(f"{to}: {rows:,} rows of {name}{left}", markup=False, soft_wrap=True)


def _write(connection: Any, wanted: TableWanted, to: Path, kind: type[TableFile], show: Show) -> int:
    total = wanted.count(connection) if errors.is_terminal else None
    rows = 0
    with _whole(to, binary=kind is FORMATS["parquet"]) as file:
        writer = kind(file, wanted.columns)
        for some in wanted.rows(connection):
            writer.write(some)
            rows += len(some)
            show("rows", rows, total)
        writer.close()
    return rows


@contextmanager
def _whole(to: Path, *, binary: bool) -> Generator[IO[Any]]:
    """Open a file that is there with all that is written to it, or as it was before.

    Raises:
        InputError: it cannot be written.
    """
    beside = to.with_name(f"{to.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") if binary else beside.open("w", encoding="utf-8", newline="") as file:
            yield file
        beside.replace(to)
    except OSError as error:
        raise InputError(f"--to {to} cannot be written: {error.strerror}: name a file in a folder that is") from error
    finally:
        if sys.exc_info()[0] is not None:
            beside.unlink(missing_ok=True)
