"""When a schedule is due: a cron expression read by the clocks of a time zone, through their changes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from engine.errors import InputError

_FIELDS = 5
_LONGEST = 200  # characters of an expression
_REPEATED = timedelta(hours=3)  # clocks are put back by less
_FIRST_LOOK = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Timetable:
    """Moments at which something is due, in UTC.

    Where clocks are put forward, a fixed time that does not come is due at once when they go on; where they are put
    back, it is due the first time only. An expression whose minute or hour begins with a star goes by what clocks show:
    it passes over what they do not, and is due each time that they do. That is how Debian's cron does it.

    Args:
        cron: five fields: minute, hour, day of the month, month, day of the week.
        zone: whose clocks, by its IANA name.

    Raises:
        InputError: the expression or the zone is none, or the expression is never due.
    """

    cron: str
    zone: str = "UTC"

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise InputError(f"{self.zone!r} is no time zone: name one as in Europe/Berlin or UTC") from error
        named = f"the cron expression {self.cron[:_LONGEST]!r}"
        if len(self.cron.split()) != _FIELDS or len(self.cron) > _LONGEST:
            raise InputError(
                f"{named} does not have five fields: minute, hour, day of the month, month and day of the week, as in "
                "'30 2 * * MON-FRI'"
            )
        try:
            found = next(iter(CronSim(self.cron, datetime(2024, 1, 1))), None)  # noqa: DTZ001  clocks of no zone
        except (CronSimError, ValueError) as error:
            what = str(error).removeprefix("Bad ").replace("-", " ")
            raise InputError(f"{named} has a {what} that cannot be: write it as in '30 2 * * MON-FRI'") from error
        if found is None:
            raise InputError(f"{named} is never due: no day has such a date")

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Give what is due later than a moment, in order."""
        zone = ZoneInfo(self.zone)
        begin = (moment - _REPEATED).astimezone(zone).replace(tzinfo=None)
        last = moment.astimezone(UTC)
        repeated: list[datetime] = []  # what is due once more when clocks have been put back
        for shown in CronSim(self.cron, begin):
            found = self._instants(shown, zone)
            if not found:
                continue
            ready = [one for one in repeated if one < found[0]]
            repeated = [*repeated[len(ready) :], *found[1:]]
            for instant in (*ready, found[0]):
                if instant > last:
                    last = instant
                    yield instant

    def next_after(self, moment: datetime) -> datetime:
        """Give what is due next after a moment."""
        return next(self.after(moment))

    def newest(self, since: datetime, until: datetime, most: int) -> list[datetime]:
        """Give the last that were due from a moment until another, both included, so many at the most, in order."""
        look, before = _FIRST_LOOK, since - timedelta(seconds=1)
        while True:
            begin = max(before, until - look)
            found = list(takewhile(lambda due: due <= until, self.after(begin)))
            if len(found) >= most or begin == before:
                return found[-most:]
            look *= 8  # so that what was missed in a year need not be counted minute by minute

    def coming(self, moment: datetime, count: int) -> list[datetime]:
        """Give what is due next after a moment, so many."""
        return list(islice(self.after(moment), count))

    def _instants(self, shown: datetime, zone: ZoneInfo) -> list[datetime]:
        """Give when a time that clocks may show is due: twice, once or never."""
        first, second = _said(shown, zone)
        if first == second:
            return [first]
        minute, hour, *_ = self.cron.split()
        goes_by_clocks = minute.startswith("*") or hour.startswith("*")
        if first < second:
            return [first, second] if goes_by_clocks else [first]
        if goes_by_clocks:
            return []
        while first != second:  # clocks never show it
            shown += timedelta(minutes=1)
            first, second = _said(shown, zone)
        return [first]


def _said(shown: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Give when clocks show a time, for the first and for the second time; the wrong way round if they never do."""
    first, second = (shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first, second
