"""Estimates are compared with what providers counted, and calibrations are versions, on every database."""

from datetime import timedelta

import pytest

from engine.app import App
from engine.models.roles import Model
from engine.models.tokens import bound_messages
from engine.reports.estimates import estimates, learn_from, samples_of
from engine.store.calibrations import newest
from engine.testing import ScriptedModel, StillClock
from engine.usage import Price
from tests.cli_app import draft
from tests.databases import ready
from tests.flows import line

COUNTED = 50
KEY = ("engine", "scripted", False)


@pytest.fixture
async def app(database_url):
    if "memory" not in database_url:
        ready(database_url)
    model = ScriptedModel(script=["an answer"], input_tokens=COUNTED)
    opened = App(
        workflows=[line(("node", draft("large")), name="say")],
        models={"large": Model(model, price=Price(input="1", output="1"))},
        database=database_url,
        clock=StillClock(),
    )
    yield opened
    await opened.close()


async def test_requests_are_counted_again_as_they_were_sent(app):
    await app.run("say", {"question": "how long is a piece of string? " * 9})
    (asked,) = app.models["large"].model.asked
    ((key, (sample,)),) = (await samples_of(app.ledger)).items()
    assert key == KEY
    assert (sample.counted, sample.bound) == (COUNTED, bound_messages(asked))
    assert sample.likely < sample.bound


async def test_what_was_learned_mends_the_next_estimate(app):
    for number in range(20):
        await app.run("say", {"question": f"what is {number}?"})
    samples = await samples_of(app.ledger)
    (before,) = await estimates(app.ledger, samples)
    assert (before.samples, before.calibrated, before.calibration) == (20, None, None)
    (learned,) = await learn_from(app.ledger, samples, app.clock.now())
    (after,) = await estimates(app.ledger, samples)
    assert (after.calibration, learned.samples) == (1, 20)
    assert after.calibrated.p50 < before.likely.p50
    (again,) = await learn_from(app.ledger, samples, app.clock.now() + timedelta(days=1))
    assert again.version == 2
    assert await newest(app.ledger) == {KEY: again}


async def test_nothing_is_written_where_nothing_can_be_learned(app):
    await app.run("say", {"question": "what?"})
    assert not await learn_from(app.ledger, await samples_of(app.ledger), app.clock.now())
    assert await newest(app.ledger) == {}
    assert await samples_of(app.ledger, model="another") == {}
    assert await samples_of(app.ledger, since=app.clock.now() + timedelta(days=1)) == {}
