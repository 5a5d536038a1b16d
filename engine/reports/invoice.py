"""What a provider says it charged, beside what the ledger says, by day and model, with what explains the rest."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from sqlalchemy import case, func, select

from engine.errors import InputError, why_not
from engine.eval_records import IMPORT
from engine.reports.dimensions import dimensions, model_name
from engine.store.ledger import SqlLedger
from engine.store.tables import calls, runs

_SNAPSHOT = re.compile(r"[-@](\d{8}|\d{4}-\d{2}-\d{2})$")
_NANO = Decimal("1e-9")
_DAYS = ("day", "date", "usage_date_utc", "start_time_iso", "usage_date", "timestamp", "start_time")
_MODELS = ("model", "model_version", "line_item")
_USD = ("usd", "cost_usd", "amount_value", "cost", "amount")
_TOKENS = (
    *("input_tokens", "output_tokens"),  # OpenAI's, of which cached ones are a part
    *(f"usage_{kind}" for kind in ("input_tokens_no_cache", "input_tokens_cache_read", "output_tokens")),
    *(f"usage_input_tokens_cache_write{kind}" for kind in ("", "_5m", "_1h")),  # Anthropic's, each apart
)

Key = tuple[str, str]
"""A day in UTC and a model, without the date of its snapshot; no model is all of the day."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a file are read: its day, model and amount; what is not named is found by the usual names."""

    day: str | None = None
    model: str | None = None
    usd: str | None = None


@dataclass(frozen=True, slots=True)
class Invoice:
    """What a file says, in USD, or in tokens where it tells no cost."""

    unit: str
    amounts: Mapping[Key, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceRow:
    """One day of one model.

    Attributes:
        ours: what the ledger has, and `theirs` what the provider says, in the unit of the invoice.
        unknown: calls of ours of unknown cost, for which budgets hold `held`, in the same unit.
        in_flight: those of them whose end nobody has seen.
        within: whether the difference is within the tolerance.
        why: what explains the difference.
    """

    day: str
    model: str
    ours: Decimal
    theirs: Decimal
    unknown: int
    held: Decimal
    in_flight: int
    within: bool
    why: str

    @property
    def difference(self) -> Decimal:
        """How much more they say."""
        return self.theirs - self.ours

    def to_json(self) -> dict[str, Any]:
        """Give the row as JSON; amounts are text."""
        return asdict(self) | {name: f"{getattr(self, name):f}" for name in ("ours", "theirs", "held", "difference")}


def read_invoice(path: Path, columns: Columns, where: Mapping[str, str]) -> Invoice:
    """Read an export: OpenAI's costs or usage, Anthropic's, or any with a day, a model and an amount in USD.

    OpenAI's costs have start_time_iso, amount_value and line_item, as in `gpt-4o-2024-08-06, input`, and its usage
    input_tokens, output_tokens and model (platform.openai.com/usage). Anthropic's costs have usage_date_utc, model,
    token_type and cost_usd, and its usage usage_date_utc, model_version and a column for each kind of token
    (platform.claude.com/usage and /cost; support.claude.com/en/articles/9534590). Its Admin API counts in cents,
    which no export of these does: what is made of it must be in USD.

    Raises:
        InputError: the file cannot be read, a column is missing, or a line holds what is no day or amount.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = list(reader.fieldnames or ())
            return _invoice(str(path), names, reader, columns, where)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"the invoice {path} cannot be read: {why_not(error)}") from error


def _invoice(
    file: str,
    names: Sequence[str],
    rows: Iterator[Mapping[str, str | None]],
    columns: Columns,
    where: Mapping[str, str],
) -> Invoice:
    if not names:
        raise InputError(f"the invoice {file} is empty: name a CSV file with a line of column names")
    if unknown := [name for name in where if name not in names]:
        raise InputError(f"--where {', '.join(unknown)}: {file} has the columns {', '.join(names)}")
    day = _column(file, names, columns.day, _DAYS, "day")
    model = _column(file, names, columns.model, _MODELS, "model")
    usd = columns.usd or next((name for name in _USD if name in names), None)
    tokens = [name for name in _TOKENS if name in names]
    if (usd is not None and usd not in names) or (usd is None and not tokens):
        raise InputError(
            f"{file} has no column with an amount: name it, as in --column usd=AMOUNT, of {', '.join(names)}"
        )
    amounts: dict[Key, Decimal] = defaultdict(Decimal)
    for number, row in enumerate(rows, 2):
        if any(value is None for value in row.values()):
            raise InputError(f"{file}, line {number} has fewer values than there are columns: has it been cut?")
        if any(row.get(name) != value for name, value in where.items()):
            continue
        said = [row.get(name) or "" for name in ([usd] if usd is not None else tokens)]
        amount = sum((_amount(f"{file}, line {number}", one) for one in said if one), Decimal(0))
        if amount:
            amounts[_day(f"{file}, line {number}", row.get(day) or ""), bare(row.get(model) or "")] += amount
    return Invoice("tokens" if usd is None else "USD", amounts)


async def reconcile(ledger: SqlLedger, invoice: Invoice, *, provider: str | None, tolerance: float) -> list[InvoiceRow]:
    """Put what the ledger has beside an invoice, for the days of the invoice.

    Args:
        ledger: what is read.
        invoice: what the provider says.
        provider: whose calls are looked at; of every provider if not given.
        tolerance: the share of the larger amount by which two may differ.
    """
    days = sorted({day for day, _ in invoice.amounts})
    if not days:
        return []
    by_day = not any(model for _, model in invoice.amounts)
    ours = await _ours(ledger, days, provider, invoice.unit, by_day=by_day)
    keys = sorted(set(invoice.amounts) | set(ours))
    return [_row(key, invoice.amounts.get(key, Decimal(0)), ours.get(key), tolerance) for key in keys]


@dataclass(slots=True)
class _Ours:
    amount: Decimal = Decimal(0)
    unknown: int = 0
    held: Decimal = Decimal(0)
    in_flight: int = 0


async def _ours(
    ledger: SqlLedger, days: Sequence[str], provider: str | None, unit: str, *, by_day: bool
) -> Mapping[Key, _Ours]:
    """Add up calls by the day on which they began, as providers do; imported ones were somebody else's."""
    imported = select(runs.c.run_id).where(runs.c.origin == IMPORT)
    day = dimensions(is_sqlite=ledger.database.is_sqlite, time=calls.c.started_at)["day"]
    in_usd = unit == "USD"
    tokens = func.coalesce(calls.c.usage_input_tokens, 0) + func.coalesce(calls.c.usage_output_tokens, 0)
    unknown = calls.c.cost_nano_usd.is_(None) if in_usd else calls.c.usage_input_tokens.is_(None)
    charged = calls.c.charged_nano_usd if in_usd else calls.c.charged_tokens
    query = (
        select(
            day.label("day"),
            model_name.label("model"),
            func.coalesce(func.sum(calls.c.cost_nano_usd if in_usd else tokens), 0).label("amount"),
            func.sum(case((unknown & (charged > 0), 1), else_=0)).label("unknown"),
            func.sum(case((unknown, charged), else_=0)).label("held"),
            func.sum(case((unknown & calls.c.status.in_(("in_flight", "unknown")), 1), else_=0)).label("in_flight"),
        )
        .where(calls.c.provider_name.is_not(None), func.coalesce(calls.c.cost_source, "") != "recorded")
        .where(calls.c.run_id.not_in(imported))
        .where(calls.c.started_at >= _moment(days[0]), calls.c.started_at < _moment(days[-1], end=True))
        .group_by(day, model_name)
    )
    query = query if provider is None else query.where(calls.c.provider_name == provider)
    found: dict[Key, _Ours] = defaultdict(_Ours)
    unit_of = _NANO if in_usd else Decimal(1)
    for row in await ledger.read(lambda connection: connection.execute(query).all()):
        if row.day in days:
            one = found[row.day, "" if by_day else bare(row.model)]
            one.amount += int(row.amount) * unit_of
            one.held += int(row.held) * unit_of
            one.unknown += int(row.unknown)
            one.in_flight += int(row.in_flight)
    return found


def _row(key: Key, theirs: Decimal, ours: _Ours | None, tolerance: float) -> InvoiceRow:
    mine = ours or _Ours()
    difference = theirs - mine.amount
    within = abs(difference) <= Decimal(str(tolerance)) * max(theirs, mine.amount)
    return InvoiceRow(
        day=key[0],
        model=key[1],
        ours=mine.amount,
        theirs=theirs,
        unknown=mine.unknown,
        held=mine.held,
        in_flight=mine.in_flight,
        within=within,
        why="" if within else _why(difference, ours),
    )


def _why(difference: Decimal, ours: _Ours | None) -> str:
    """Say what explains a difference."""
    if ours is None:
        return "the ledger has no call of it: other keys or programs"
    if difference < 0:
        return "the ledger has more: another project's export, a discount, or a price that is too high"
    if ours.unknown and difference <= ours.held:
        flying = f", {ours.in_flight:,} of them cut off" if ours.in_flight else ""
        return f"{ours.unknown:,} calls of unknown usage{flying}"
    more = f"{ours.unknown:,} calls of unknown usage, and " if ours.unknown else ""
    return f"{more}other keys or programs, or a price that is too low"


def bare(model: str) -> str:
    """Name a model as both sides do: without what is charged, its maker and the date of its snapshot.

    Anthropic's Console writes `Claude Haiku 4.5` and `Claude 3.5 Sonnet 2024-10-22` for what its API calls
    claude-haiku-4-5 and claude-3-5-sonnet-20241022: here the number stands last.
    """
    name = model.split(",", 1)[0].strip().lower().rpartition("/")[2]
    if not name.startswith("claude"):
        return _SNAPSHOT.sub("", name)
    words = _SNAPSHOT.sub("", re.sub(r"[ .]", "-", name)).split("-")
    return "-".join(sorted(words, key=str.isdecimal))


def _column(file: str, names: Sequence[str], named: str | None, usual: Sequence[str], what: str) -> str:
    found = named if named in names else None if named else next((name for name in usual if name in names), None)
    if found is None:
        there = ", ".join(names) or "none"
        raise InputError(f"{file} has no column {named or what!r}: name it, as in --column {what}=NAME, of {there}")
    return found


def _day(where: str, text: str) -> str:
    try:
        moment = datetime.fromtimestamp(int(text), UTC) if text.isdecimal() else datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError) as error:
        raise InputError(f"{where}: {text!r} is no day like 2026-01-31") from error
    return (moment.astimezone(UTC) if moment.tzinfo else moment).date().isoformat()


def _amount(where: str, text: str) -> Decimal:
    try:
        amount = Decimal(text.strip().removeprefix("$").replace(",", ""))
    except InvalidOperation as error:
        raise InputError(f"{where}: {text!r} is no amount") from error
    if not amount.is_finite():
        raise InputError(f"{where}: {text!r} is no amount")
    return amount


def _moment(day: str, *, end: bool = False) -> datetime:
    moment = datetime.fromisoformat(day).replace(tzinfo=UTC)
    return moment.replace(hour=23, minute=59, second=59, microsecond=999_999) if end else moment
