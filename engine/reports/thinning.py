"""Thinning: a report over many runs reads one in so many of them, the same ones each time, and says how sure it is."""

import math
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, func, select

from engine.reports.dimensions import OF_CALLS
from engine.store.ledger import SqlLedger
from engine.store.tables import runs

MOST_RUNS, MOST_RUNS_BY_CALL = 200_000, 10_000
"""How many runs costs are added up of to the last one: by what runs have, and by what each of their calls has."""

_LAST_TWO = 31  # the place of the last two of 32 hexadecimal digits, which come by chance
_PARTS = 256  # what two digits can be
_SIGMAS = 1.96  # 95 %


async def thinned_to(
    ledger: SqlLedger, by: Sequence[str], *, since: datetime | None = None, until: datetime | None = None
) -> int:
    """Say of one run in how many costs are added up: 1, 2, 4 ... 256; 1 where there are not too many runs."""
    query = select(func.count()).select_from(runs)
    query = query if since is None else query.where(runs.c.started_at >= since)
    query = query if until is None else query.where(runs.c.started_at < until)
    many = await ledger.read(lambda connection: connection.scalar(query)) or 0
    most = MOST_RUNS_BY_CALL if set(by) & set(OF_CALLS) else MOST_RUNS
    return min(_PARTS, 1 << max(0, math.ceil(math.log2(many / most)))) if many > most else 1


def is_drawn(run_id: ColumnElement[str], one_in: int) -> ColumnElement[bool]:
    """Say which runs are read: those of the lowest last digits, so that a larger sample has all of a smaller one."""
    return func.substr(run_id, _LAST_TWO, 2) < f"{_PARTS // one_in:02x}"


def margin_of(total: float, squares: float, one_in: int) -> float | None:
    """Give half of the 95 % interval of a sum over that sum, of the sum and the sum of squares of the runs drawn.

    Each run is drawn with the same chance f, so the variance of what they stand for is (1 - f) / f² times the sum
    of squares (Horvitz and Thompson, 1952). None where nothing is known.
    """
    return _SIGMAS * math.sqrt((1 - 1 / one_in) * squares) / total if total else None
