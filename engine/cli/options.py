"""Options that several commands share, and how their values are read."""

import asyncio
import getpass
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

import typer

from engine.app import App
from engine.definition.workflow import Workflow
from engine.errors import InputError

Found = TypeVar("Found")

_SIZES = {"KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

AppOption = Annotated[
    str | None,
    typer.Option(
        "--app",
        envvar="FLOWLEDGER_APP",
        help="The app as module:name; else [tool.flowledger] app in pyproject.toml, else workflows.app:app.",
    ),
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        envvar="FLOWLEDGER_DATABASE",
        help="The ledger: sqlite:///FILE or postgresql://USER@HOST/NAME; else the app's own.",
    ),
]
DispatcherOption = Annotated[
    str | None,
    typer.Option(
        "--dispatcher",
        envvar="FLOWLEDGER_DISPATCHER",
        help="Who tells workers of runs: nats://HOST/NAME, postgresql://USER@HOST/NAME or local; else as fits the "
        "database.",
    ),
]
RunArgument = Annotated[str, typer.Argument(help="The run's id, or a beginning or end that fits one run only.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
SinceOption = Annotated[
    str | None, typer.Option("--since", help="Only what began since: 30m, 12h, 7d, 2w, or a date like 2026-01-31.")
]
UntilOption = Annotated[
    str | None, typer.Option("--until", help="Only what began before: 30m, 12h, 7d, 2w ago, or a date like 2026-01-31.")
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="How many rows at the most.")]


async def within(app: App, work: Callable[[], Awaitable[Found]]) -> Found:
    """Do some work and close the app."""
    async with app:
        return await work()


def who_says() -> str | None:
    """Name who gives the command, as their login does."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have no such user
        return None


def workflow_named(app: App, name: str) -> Workflow:
    """Give the workflow that is run under a name: one of the code, or what a release of a name of its own points at.

    Raises:
        ConfigurationError: there is none.
    """
    return app.workflow(name) if name in app.workflows else asyncio.run(within(app, lambda: app.released(name)))


def parse_json(option: str, text: str) -> Any:
    """Read the JSON that an option was given.

    Raises:
        InputError: it is none.
    """
    try:
        return json.loads(text, parse_constant=_no_number)
    except ValueError as error:
        raise InputError(
            f"{option} takes JSON, and {text!r} is not JSON: {error}; a text is '\"like this\"'"
        ) from error


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def parse_since(text: str | None, now: datetime, option: str = "--since") -> datetime | None:
    """Read a moment from `7d`, which is so long ago, or from a date.

    Raises:
        InputError: the text is neither.
    """
    if text is None:
        return None
    try:
        span = _span(text)
        return _moment(text) if span is None else now - span
    except (ValueError, OverflowError) as error:
        raise InputError(f"{option} {text!r} is neither a span like 12h or 7d nor a date like 2026-01-31") from error


def parse_span(option: str, text: str) -> timedelta:
    """Read a span like 30m or 2d.

    Raises:
        InputError: the text is none.
    """
    span = _span(text)
    if span is None:
        raise InputError(f"{option} {text!r} is not a span like 30s, 15m, 12h or 7d")
    return span


def parse_bytes(option: str, text: str) -> int:
    """Read a size like 512MB or 2GB, in powers of 1024.

    Raises:
        InputError: the text is none.
    """
    number, unit = text[:-2], text[-2:].upper()
    if unit not in _SIZES or not number.isdecimal() or int(number) == 0:
        raise InputError(f"{option} {text!r} is not a size like 512MB or 2GB")
    return int(number) * _SIZES[unit]


def parse_rate(option: str, text: str) -> float | None:
    """Read a rate like 10/s, 600/m or 1000/h, as a number a second; `none` is None.

    Raises:
        InputError: the text is none of these.
    """
    if text == "none":
        return None
    number, _, unit = text.partition("/")
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(unit)
    if seconds is None or not number.isdecimal() or int(number) == 0:
        raise InputError(f"{option} {text!r} is not a rate like 10/s, 600/m or 1000/h, nor `none`")
    return int(number) / seconds


def parse_moment(option: str, text: str) -> datetime:
    """Read a date, or a date with a time; UTC where it names no zone.

    Raises:
        InputError: the text is none.
    """
    try:
        return _moment(text)
    except ValueError as error:
        raise InputError(f"{option} {text!r} is not a moment like 2026-01-31 or 2026-01-31T08:00") from error


def _span(text: str) -> timedelta | None:
    number, unit = text.strip()[:-1], text.strip()[-1:]
    is_span = unit in _UNITS and number.isdecimal() and len(number) <= 6
    return timedelta(**{_UNITS[unit]: int(number)}) if is_span else None


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_older_than(text: str, now: datetime) -> datetime:
    """Read `--older-than`.

    Raises:
        InputError: it is neither a span nor a date.
    """
    try:
        found = parse_since(text, now)
    except (InputError, OverflowError):
        found = None
    if found is None:
        raise InputError(f"--older-than {text!r} is neither a span like 12h or 30d nor a date like 2026-01-31")
    return found


def confirm(question: str, *, yes: bool, add: str) -> None:
    """Go on if somebody says so.

    Raises:
        InputError: nobody is there who could; the sentence says what to add instead.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError(f"nobody is here who could confirm this: add {add}")
    typer.confirm(question, abort=True, err=True)
