"""Cron expressions are read by the clocks of a zone, through every change of them."""

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.definition.timetable import Timetable
from engine.errors import InputError

SPRING, AUTUMN = datetime(2025, 3, 29, 22, tzinfo=UTC), datetime(2025, 10, 25, 22, tzinfo=UTC)  # Berlin: the night
CHANGES = [  # days in UTC within which clocks of these zones change
    ("Europe/Berlin", datetime(2025, 3, 29, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2025, 10, 25, tzinfo=UTC)),
    ("America/New_York", datetime(2025, 3, 8, tzinfo=UTC)),
    ("America/New_York", datetime(2025, 11, 1, tzinfo=UTC)),
    ("America/Santiago", datetime(2025, 9, 6, tzinfo=UTC)),  # at midnight
    ("America/Santiago", datetime(2025, 4, 5, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2025, 10, 4, tzinfo=UTC)),  # by half an hour
    ("Australia/Lord_Howe", datetime(2025, 4, 5, tzinfo=UTC)),
    ("Asia/Kolkata", datetime(2025, 3, 29, tzinfo=UTC)),
]
MINUTES = st.sampled_from(["0", "30", "59", "*", "*/15", "0,30", "7-9"])
HOURS = st.sampled_from(["*", "0", "1", "2", "3", "*/2", "1-3", "2,3", "23"])
DAYS = st.sampled_from(["* * *", "* * SUN", "1 * *", "L * *"])
LATER = st.integers(min_value=1, max_value=2000).map(lambda minutes: timedelta(minutes=minutes))


def due(timetable: Timetable, begin: datetime, end: datetime) -> list[datetime]:
    return list(takewhile(lambda one: one <= end, timetable.after(begin)))


def at(cron: str, begin: datetime, count: int) -> list[str]:
    """Say when something is due in Berlin, as clocks show it and in UTC."""
    found = Timetable(cron, "Europe/Berlin").coming(begin, count)
    return [f"{one.astimezone(ZoneInfo('Europe/Berlin')):%d %H:%M} {one:%H:%M}" for one in found]


def test_a_fixed_time_is_due_by_the_clocks_of_its_zone():
    assert at("0 2 * * MON-FRI", datetime(2025, 1, 3, tzinfo=UTC), 2) == ["03 02:00 01:00", "06 02:00 01:00"]
    assert at("0 2 * * *", datetime(2025, 7, 1, 0, 0, tzinfo=UTC), 1) == ["02 02:00 00:00"]


def test_a_fixed_time_that_clocks_leave_out_is_due_at_once_when_they_go_on():
    assert at("30 2 * * *", SPRING, 2) == ["30 03:00 01:00", "31 02:30 00:30"]
    assert at("0,30 2,3 * * *", SPRING, 3) == ["30 03:00 01:00", "30 03:30 01:30", "31 02:00 00:00"]


def test_a_fixed_time_that_clocks_show_twice_is_due_once():
    assert at("30 2 * * *", AUTUMN, 2) == ["26 02:30 00:30", "27 02:30 01:30"]
    in_the_second = datetime(2025, 10, 26, 1, 15, tzinfo=UTC)
    assert at("30 2 * * *", in_the_second, 1) == ["27 02:30 01:30"]


def test_what_has_a_star_goes_on_in_even_steps_through_both_changes():
    assert at("*/30 * * * *", SPRING + timedelta(hours=2), 4) == [
        *("30 01:30 00:30", "30 03:00 01:00", "30 03:30 01:30", "30 04:00 02:00")
    ]
    assert at("0 * * * *", AUTUMN + timedelta(hours=1), 4) == [
        *("26 02:00 00:00", "26 02:00 01:00", "26 03:00 02:00", "26 04:00 03:00")
    ]


@settings(deadline=None, max_examples=50)
@given(change=st.sampled_from(CHANGES), minute=MINUTES, hour=HOURS, days=DAYS, begin=LATER, span=LATER)
def test_what_goes_by_clocks_is_due_in_just_those_minutes_in_which_they_show_it(
    change, minute, hour, days, begin, span
):
    if not (minute.startswith("*") or hour.startswith("*")):
        minute = "*"
    zone, day = change
    timetable, end = Timetable(f"{minute} {hour} {days}", zone), day + begin + span
    found = due(timetable, day + begin, end)
    minutes = [day + begin + timedelta(minutes=number + 1) for number in range(span // timedelta(minutes=1))]
    shown = [one.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for one in minutes]
    wanted = {*takewhile(lambda one: one <= max(shown), CronSim(timetable.cron, min(shown) - timedelta(minutes=1)))}
    assert found == [one for one, clock in zip(minutes, shown, strict=True) if clock in wanted]


@settings(deadline=None, max_examples=50)
@given(change=st.sampled_from(CHANGES), minute=MINUTES, hour=HOURS, begin=LATER)
def test_a_fixed_time_of_every_day_is_due_once_a_day_and_whoever_asks_when_hears_the_same(change, minute, hour, begin):
    zone, day = change
    timetable = Timetable(f"{minute} {hour} * * *", zone)
    found = due(timetable, day, day + timedelta(days=4))
    assert found == sorted(set(found))
    assert due(timetable, day + begin, day + timedelta(days=4)) == [one for one in found if one > day + begin]
    if minute.isdecimal() and hour.isdecimal():
        days = [one.astimezone(ZoneInfo(zone)).date() for one in found]
        assert len(days) == len(set(days)) == (days[-1] - days[0]).days + 1


@settings(deadline=None, max_examples=50)
@given(change=st.sampled_from(CHANGES), minute=MINUTES, hour=HOURS, span=LATER, most=st.integers(1, 20))
def test_the_newest_are_the_last_of_all(change, minute, hour, span, most):
    zone, day = change
    timetable = Timetable(f"{minute} {hour} * * *", zone)
    since = timetable.next_after(day)
    everything = [since, *due(timetable, since, since + span)]
    assert timetable.newest(since, since + span, most) == everything[-most:]


def test_what_was_missed_in_ten_years_is_found_at_once():
    since = datetime(2015, 1, 1, tzinfo=UTC)
    assert len(Timetable("* * * * *").newest(since, since + timedelta(days=3650), 3)) == 3


@pytest.mark.parametrize(
    ("cron", "zone", "said"),
    [
        ("0 2 * *", "UTC", "'0 2 . .' does not have five fields"),
        ("0 0 2 * * *", "UTC", "does not have five fields"),
        ("61 2 * * *", "UTC", "has a minute that cannot be"),
        ("0 2 * * FOO", "UTC", "has a day of week that cannot be"),
        (f"{'9' * 100} 2 * * *", "UTC", "has a minute that cannot be"),
        (f"{'9' * 5000} 2 * * *", "UTC", "does not have five fields"),
        ("0 0 30 2 *", "UTC", "has a day of month that cannot be"),
        ("0 0 29 2 1#1", "UTC", None),
        ("0 2 * * *", "Europe/Berln", "'Europe/Berln' is no time zone"),
        ("0 2 * * *", "../../etc/passwd", "is no time zone"),
        ("0 2 * * *", "", "is no time zone"),
    ],
)
def test_what_is_no_timetable_is_refused_in_a_sentence(cron, zone, said):
    if said is None:
        assert Timetable(cron, zone).next_after(SPRING) > SPRING
        return
    with pytest.raises(InputError, match=said) as refused:
        Timetable(cron, zone)
    assert "\n" not in str(refused.value)
