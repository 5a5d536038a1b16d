"""Alarms are decided from figures with hysteresis, once over all workers, and told to sinks until they arrive."""

import asyncio
import hashlib
import hmac
import json
import sys
from datetime import timedelta

import pytest

from engine import Alarm, App
from engine.alarms.alarm import OK, RAISED
from engine.alarms.sinks import Command, Log, NotDeliveredError, Webhook
from engine.errors import ConfigurationError, InputError
from engine.records import RunStatus
from engine.reports.measures import METRICS, Measurement, Wanted, measure
from engine.statistics.intervals import Interval
from engine.testing import StillClock
from tests.contract.test_costs import NOW, call, outcome, run
from tests.databases import SHARED
from tests.flows import line, noting

FAILS = {"metric": "run_failure_rate", "above": 0.5, "least": 2}


def measured(value, low=None, high=None, many=50):
    ends = None if low is None else Interval(low, high)
    return Measurement(value=value, interval=ends, many=many)


def test_an_alarm_rises_surely_stays_until_it_is_clear_and_keeps_to_its_policy_without_data():
    alarm = Alarm(name="a", metric="tool_failure_rate", above=0.2, clear=0.1)
    assert alarm.decide(OK, measured(0.3, 0.15, 0.5)) == OK, "chance alone may be it"
    assert alarm.decide(OK, measured(0.3, 0.25, 0.4)) == RAISED
    assert alarm.decide(RAISED, measured(0.15, 0.1, 0.3)) == RAISED
    assert alarm.decide(RAISED, measured(0.1, 0.05, 0.2)) == OK
    assert alarm.decide(RAISED, measured(None, many=0)) == RAISED
    assert alarm.decide(OK, measured(1.0, 0.8, 1.0, many=19)) == OK, "19 of at least 20"
    below = Alarm(name="b", metric="success_rate", below=0.9, sure=False, no_data="raise")
    assert below.decide(OK, measured(0.85, 0.7, 0.95)) == RAISED
    assert below.decide(RAISED, measured(0.9)) == OK
    assert below.decide(OK, measured(None)) == RAISED
    assert Alarm(name="c", metric="success_rate", below=0.9, no_data="clear").decide(RAISED, measured(None)) == OK


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"metric": "luck"}, "watches 'luck', and can watch"),
        ({"above": 1, "below": 0}, "neither or both"),
        ({"above": None}, "neither or both"),
        ({"clear": 0.9}, "beyond the level that raises it"),
        ({"where": {"colour": "red"}}, "restricted by colour"),
        ({"metric": "success_rate", "where": {"tool": "pay"}}, "not told apart by tool"),
        ({"metric": "score"}, "say the evaluator"),
        ({"metric": "input_drift"}, "say the workflow"),
        ({"window": timedelta(0)}, "for no time"),
        ({"least": 0}, "at least one unit"),
        ({"no_data": "panic"}, "keep, raise or clear"),
        ({"name": " "}, "has no name"),
        ({"name": None}, "its name and its metric as texts"),
        ({"above": float("nan")}, "has the level nan"),
        ({"above": "high"}, "has the level 'high'"),
        ({"window": 60}, "write a timedelta"),
        ({"baseline": timedelta.max}, "days at most"),
        ({"where": "workflow=ask"}, "is restricted by 'workflow=ask'"),
        ({"sinks": Log()}, "write a list of sinks"),
        ({"sinks": ["log"]}, "write a list of sinks"),
    ],
)
def test_an_alarm_that_cannot_be_is_refused_in_a_sentence(options, said):
    with pytest.raises(ConfigurationError, match=said):
        Alarm(**{"name": "a", "metric": "tool_failure_rate", "above": 0.5} | options)


def test_alarms_that_are_no_list_are_refused_in_a_sentence():
    one = Alarm(name="a", metric="tool_failure_rate", above=0.5)
    for alarms in (one, {"a": one}, "a"):
        with pytest.raises(ConfigurationError, match=r"is no list of alarms: write alarms=\[Alarm\(...\)\]"):
            App(workflows=[], alarms=alarms)


async def test_every_metric_can_be_measured_with_runs_that_show_it(ledger):
    for n in range(1, 31):
        bad = n % 3 == 0
        status = RunStatus.FAILED if bad else RunStatus.SUCCEEDED
        await ledger.commit([run(n, status=status, duration_ns=n * 10**9, cost_nano_usd=n * 10**9)])
        await ledger.commit([call(n, n, tool_name="pay", duration_ns=n * 10**9, status="failed" if bad else "ok")])
        await ledger.commit([outcome(n, "resolved", success=not bad)])
    found = {}
    for metric in METRICS:
        wanted = Wanted(
            metric=metric,
            baseline=NOW - timedelta(days=1),
            since=NOW,
            until=NOW + timedelta(hours=1),
            where={"workflow": "ask"},
            of="succeeded",
        )
        found[metric] = await measure(ledger, wanted)
    for name in ("call_failure_rate", "tool_failure_rate", "run_failure_rate", "bad_outcome_rate"):
        assert found[name].value == pytest.approx(1 / 3), name
        assert (found[name].many, len(found[name].runs)) == (30, 10)
    assert found["success_rate"].value == found["outcome_rate"].value == pytest.approx(2 / 3)
    assert found["run_p95_seconds"].value == pytest.approx(28.55)
    assert found["run_p95_seconds"].runs[0] == f"{30:032x}"
    assert found["usd_per_run"].value == pytest.approx(15.5)
    assert found["usd_per_success"].value == pytest.approx(465 / 20)
    assert found["usd_per_hour"].value == pytest.approx(465)
    assert (found["guard_block_rate"].value, found["queue_lag_seconds"].value) == (0, 0)
    assert (found["score"].value, found["score_drift"].value, found["input_drift"].value) == (None, None, None)


def watching(url, *sinks, **options):
    alarm = Alarm(**{"name": "fails", "sinks": sinks} | FAILS | options)
    return App(workflows=[line(("note", noting()))], database=url, clock=StillClock(NOW), alarms=[alarm])


@SHARED
async def test_two_workers_raise_an_alarm_once_and_people_say_what_they_do(url):
    async with watching(url) as app, watching(url) as other:
        await app.ledger.commit([run(n, status=RunStatus.FAILED) for n in range(1, 11)])
        for one in (app, other):
            one.clock.advance(1)
        found = await asyncio.gather(app.check_alarms(is_due=True), other.check_alarms(is_due=True))
        assert sum(map(len, found)) == 1
        said = await other.acknowledge_alarm("fails", by="ann", note="rolled back")
        assert (said.number, said.what, said.by, said.many) == (2, "acknowledged", "ann", 10)
        assert [event.what for event in await app.alarm_events()] == ["acknowledged", "raised"]
        with pytest.raises(InputError, match="the app has no alarm 'other'"):
            await app.acknowledge_alarm("other")


class Server:
    """Takes posts on localhost, and answers what it is told."""

    def __init__(self, *statuses):
        self.statuses, self.taken = list(statuses), []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/hook?token=hidden"
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()

    async def _take(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = {k.lower(): v for k, _, v in (one.partition(": ") for one in head.split("\r\n")[1:])}
        body = await reader.readexactly(int(headers["content-length"]))
        self.taken.append((headers, body))
        status = self.statuses.pop(0) if self.statuses else 200
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


async def deliveries(app):
    """Give who was told of the alarm's first event, or is to be."""
    return (await app.alarm_deliveries(await app.alarm_events("fails")))["fails#1"]


async def test_a_webhook_is_signed_tried_again_and_its_secrets_are_kept_nowhere(url, monkeypatch):
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    async with Server(503) as server, watching(url, Webhook(server.url, secret_env="HOOK_SECRET")) as app:
        await app.ledger.commit([run(n, status=RunStatus.FAILED) for n in range(1, 11)])
        app.clock.advance(1)
        assert len(await app.check_alarms()) == 1
        (waiting,) = await deliveries(app)
        assert (waiting.trouble, waiting.delivered_at) == ("the host answered 503", None)
        await app.check_alarms()
        assert len(server.taken) == 1, "not yet"
        app.clock.advance(5)
        await app.check_alarms()
        (arrived,) = await deliveries(app)
        assert (arrived.attempts, arrived.next_at, arrived.trouble) == (2, None, None)
        headers, body = server.taken[1]
        seconds, _, told = headers["x-flowledger-signature"].partition(",v1=")
        known = hmac.new(b"s3cret", f"{seconds[2:]}.".encode() + body, hashlib.sha256).hexdigest()
        assert (told, headers["idempotency-key"]) == (known, "fails#1")
        assert json.loads(body)["what"] == "raised"
        kept = str([waiting, arrived, *await app.alarm_events(), *await app.alarm_states()])
        assert "s3cret" not in kept and "hidden" not in kept


async def test_a_sink_that_refuses_for_good_is_not_tried_again(url):
    async with Server(401) as server, watching(url, Webhook(server.url)) as app:
        await app.ledger.commit([run(n, status=RunStatus.FAILED) for n in range(1, 11)])
        app.clock.advance(1)
        await app.check_alarms()
        (gone,) = await deliveries(app)
        assert (gone.next_at, gone.trouble) == (None, "the host answered 401")


async def test_an_app_without_an_alarm_leaves_its_events_to_the_apps_that_have_it(url):
    async with Server(503) as server, watching(url, Webhook(server.url)) as app:
        await app.ledger.commit([run(n, status=RunStatus.FAILED) for n in range(1, 11)])
        app.clock.advance(1)
        await app.check_alarms()
        app.clock.advance(5)
        alarms, app.alarms = app.alarms, [Alarm(name="other", metric="run_failure_rate", above=0.5)]
        await app.check_alarms(is_due=True)
        assert len(server.taken) == 1
        app.alarms = alarms
        await app.check_alarms()
        (arrived,) = await deliveries(app)
        assert (arrived.attempts, arrived.trouble, arrived.next_at) == (2, None, None)


class Broken:
    """A sink of a user's that raises what no sink should."""

    label = "broken"

    async def send(self, event, now):
        raise ValueError("https://hooks.example.org/?token=hidden")


async def test_a_sink_that_breaks_is_tried_again_and_says_nothing_of_what_it_holds(url):
    async with watching(url, Broken()) as app:
        await app.ledger.commit([run(n, status=RunStatus.FAILED) for n in range(1, 11)])
        app.clock.advance(1)
        assert len(await app.check_alarms()) == 1
        (waiting,) = await deliveries(app)
        assert (waiting.trouble, waiting.delivered_at) == ("the sink broke: ValueError", None)
        assert waiting.next_at is not None


async def test_the_history_of_an_alarm_that_there_is_not_is_refused(url):
    async with watching(url, Log()) as app:
        assert await app.alarm_events("fails") == []
        with pytest.raises(InputError, match="has no alarm 'luck'; its alarms are: fails"):
            await app.alarm_events("luck")


async def test_a_command_is_given_json_and_its_faults_are_sentences(tmp_path):
    event = {"what": "raised", "text": "it's"}
    keep = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.stdin.read())"
    await Command([sys.executable, "-S", "-c", keep, str(tmp_path / "told.json")]).send(event, 0)
    assert json.loads((tmp_path / "told.json").read_text()) == event
    with pytest.raises(NotDeliveredError, match=r"ended with 3: no"):
        await Command([sys.executable, "-S", "-c", "import sys; print('no', file=sys.stderr); sys.exit(3)"]).send(
            event, 0
        )
    with pytest.raises(NotDeliveredError, match=r"longer than 0\.05 s"):
        await Command(["sleep", "60"], seconds=0.05).send(event, 0)
    with pytest.raises(NotDeliveredError, match=r"longer than 0\.05 s"):  # what a shell has started ends as well
        await asyncio.wait_for(Command(["sh", "-c", "sleep 60; true"], seconds=0.05).send(event, 0), 30)
    with pytest.raises(NotDeliveredError, match="cannot be run"):
        await Command(["/nothing/there"]).send(event, 0)
    with pytest.raises(ConfigurationError, match="is a list of a program"):
        Command("rm -rf /")
    with pytest.raises(ConfigurationError, match="begins with https"):
        Webhook("ftp://host")
    for address in ("http://host:99999/x", "http://[::1/x"):
        with pytest.raises(ConfigurationError, match="begins with https"):
            Webhook(address)
