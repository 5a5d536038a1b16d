"""A judge is held against people: how far they agree, and what its verdicts mean where nobody labelled."""

import random

import pytest

from engine.errors import InputError
from engine.evals.trajectories import Trajectory
from engine.statistics.agreement import Agreement, true_rate
from tests.databases import SHARED
from tests.flows import app_for, line, noting


def judged(number: int, score: float, label: bool | None, **expect) -> Trajectory:
    said = [{"role": "user", "content": f"question {number}"}, {"role": "assistant", "content": "answer"}]
    return Trajectory(task=number, messages=said, scores={"polite": score}, success=label, expect=expect or None)


@SHARED
async def test_a_judge_is_held_against_outcomes_and_against_cases(url):
    labels = [True] * 6 + [False] * 4
    scores = [1, 1, 1, 1, 1, 0, 1, 0, 0, 0.5]
    async with app_for(line(("only", noting())), database=url) as app:
        labelled = [judged(n, score, label) for n, (score, label) in enumerate(zip(scores, labels, strict=True))]
        await app.import_trajectories([*labelled, *(judged(90 + n, n % 2, None) for n in range(8))], name="some")
        found = await app.calibrate("some", "polite")
        assert found.agreement == Agreement(both=5, judge_only=2, people_only=1, neither=2)
        assert (found.agreement.agreed, found.agreement.kappa) == (0.7, pytest.approx((0.7 - 0.54) / 0.46))
        assert (found.unlabelled, found.good, found.judged) == (8, 4, 18)
        rate, interval = found.rate
        assert rate == pytest.approx((0.5 + 0.5 - 1) / (5 / 6 + 0.5 - 1), abs=1e-9)
        assert interval.low <= rate <= interval.high
        await app.import_trajectories([judged(n, n % 2, None, good=n % 2 == 1) for n in range(6)], name="said")
        assert (await app.calibrate("said", "polite", expect="good")).agreement.agreed == 1


async def test_what_cannot_be_held_against_anything_is_said():
    async with app_for(line(("only", noting()))) as app:
        await app.import_trajectories([judged(1, 1, None)], name="some")
        with pytest.raises(InputError, match="has no metric 'kind': it has polite"):
            await app.calibrate("some", "kind")
        with pytest.raises(InputError, match="say what became of some runs"):
            await app.calibrate("some", "polite")
        with pytest.raises(InputError, match="no case says 'good'"):
            await app.calibrate("some", "polite", expect="good")


def test_a_judge_no_better_than_chance_corrects_nothing():
    assert true_rate(5, 10, Agreement(both=5, judge_only=5, people_only=5, neither=5)) is None
    assert true_rate(0, 0, Agreement(both=5, judge_only=0, people_only=0, neither=5)) is None
    assert Agreement(both=4, judge_only=0, people_only=0, neither=0).kappa is None


def test_the_corrected_rate_lies_in_its_interval_as_often_as_it_says():
    chance = random.Random(3)

    def verdict(is_good: bool) -> bool:
        return chance.random() < (0.85 if is_good else 0.25)

    held = 0
    for _ in range(400):
        pairs = [(good, verdict(good)) for good in (chance.random() < 0.5 for _ in range(80))]
        said = sum(verdict(chance.random() < 0.7) for _ in range(300))
        found = true_rate(said, 300, Agreement.of(pairs))
        held += found is not None and found[1].low <= 0.7 <= found[1].high
    assert held >= 0.92 * 400
