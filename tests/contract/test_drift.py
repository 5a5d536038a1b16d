"""Scores that leave their level and inputs of another kind are found in the ledger, with the runs that show it."""

from datetime import timedelta

from engine import Alarm, App
from engine.eval_records import ScoreRecord
from engine.payloads import digest
from engine.records import PayloadRecord
from engine.reports.drift import input_drift, score_drift
from engine.store import experiments, samples
from engine.testing import StillClock
from tests.contract.test_costs import NOW, run
from tests.flows import line, noting

DAY = timedelta(days=1)


async def scored(ledger, number, at, score):
    record = run(number, started_at=at)
    said = ScoreRecord(
        run_id=record.run_id, evaluator="good", evaluator_version="1", deterministic=True, created_at=at, score=score
    )
    values = {"state": "scored", "stratum": "rest", "rate": 0.5, "scored_at": at}

    def write(connection):
        samples.seen(connection, "ask", [record], at)
        samples.settle(connection, record.run_id, values)
        experiments.write_scores(connection, [said])

    await ledger.commit([record])
    await ledger.change(write)


async def test_scores_that_fall_are_found_with_the_runs_that_made_them_fall(ledger):
    for n in range(1, 41):
        await scored(ledger, n, NOW - DAY + timedelta(minutes=n), 0.9 if n % 2 else 0.8)
    for n in range(41, 51):
        await scored(ledger, n, NOW + timedelta(minutes=n - 40), 0.85 if n < 46 else 0.5)
    times = {"baseline": NOW - 2 * DAY, "since": NOW, "until": NOW + DAY}
    found = await ledger.read(lambda c: score_drift(c, "good", "ask", **times))
    assert found is not None
    assert (round(found.level, 6), found.before, found.many, found.change.side) == (0.85, 40, 10, "down")
    assert found.runs[0] == f"{46:032x}"
    assert await ledger.read(lambda c: score_drift(c, "good", "ask", **times, version="other")) is None
    assert await ledger.read(lambda c: score_drift(c, "other", "ask", **times)) is None


async def test_inputs_of_another_kind_raise_an_alarm_and_those_of_the_same_do_not():
    alarm = Alarm(
        name="inputs",
        metric="input_drift",
        above=0.05,
        where={"workflow": "ask"},
        window=timedelta(hours=1),
        baseline=DAY,
    )
    app = App(
        workflows=[line(("note", noting()), name="ask")],
        database="sqlite:///:memory:",
        clock=StillClock(NOW),
        alarms=[alarm],
    )

    async def asked(first, at, words):
        for n in range(first, first + 30):
            content = f'{{"question": "how do I {words[n % 3]} my {words[n % 2]}?"}}'
            payload = PayloadRecord(sha256=digest(content), content=content)
            await app.ledger.commit([payload, run(n, started_at=at, input_payload=payload.sha256)])

    async with app:
        await asked(1, NOW - timedelta(hours=5), ["refund", "ship", "order"])
        await asked(31, NOW - timedelta(minutes=20), ["refund", "ship", "order"])
        assert await app.check_alarms() == []
        app.clock.advance(7_200)
        await asked(61, NOW + timedelta(minutes=90), ["invest", "crypto", "wallet"])
        (raised,) = await app.check_alarms()
        assert (raised.what, raised.many, len(raised.runs)) == ("raised", 30, 10)
        now = app.clock.now()
        found = await input_drift(app.ledger, "ask", baseline=now - DAY, since=now - timedelta(hours=1), until=now)
        assert found is not None
        assert (found.before, found.many, found.apart.p) == (60, 30, 0.005)
