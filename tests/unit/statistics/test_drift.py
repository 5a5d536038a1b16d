"""Changes are found as late as theory says, and distances are those of SciPy."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from engine.statistics.change import cusum, drawn_run_length, run_length
from engine.statistics.distance import apart, energy, jensen_shannon, stability_index
from engine.statistics.weighted import weighted_mean

few = settings(max_examples=30, deadline=None)
counts = st.lists(st.integers(1, 50), min_size=3, max_size=8)
numbers = st.lists(st.floats(-9, 9), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("threshold", "shift", "known"),
    [(4, 0.0, 168), (4, 1.0, 8.38), (5, 0.0, 465), (5, 1.0, 10.4), (5, 2.0, 4.01)],  # Montgomery, table 9.3
)
def test_the_average_run_length_is_that_of_the_tables(threshold, shift, known):
    assert run_length(0.5, threshold, shift) == pytest.approx(known, rel=0.015)


def test_the_run_length_of_drawn_numbers_is_that_of_the_chain():
    chance = random.Random(1)
    values = [chance.gauss(0, 1) for _ in range(1_000)]
    assert drawn_run_length(values, allowance=0.5, threshold=3, draws=200) == pytest.approx(
        run_length(0.5, 3), rel=0.25
    )


def test_a_change_is_found_with_its_beginning_and_side():
    steady, worse = [0.9, 0.8] * 20, [0.5, 0.4] * 5
    options = {"target": 0.85, "spread": 0.1, "allowance": 0.5, "threshold": 5}
    assert cusum(steady, **options).at is None
    found = cusum([*steady, *worse], **options)
    assert (found.side, found.began, found.at is not None and 40 < found.at < 44) == ("down", 40, True)
    mirrored = cusum([1.7 - value for value in [*steady, *worse]], **options)
    assert (mirrored.side, mirrored.began, mirrored.at) == ("up", 40, found.at)


@few
@given(counts, st.data())
def test_distances_of_histograms(before, data):
    after = data.draw(st.lists(st.integers(1, 50), min_size=len(before), max_size=len(before)))
    ours = [dict(enumerate(one)) for one in (before, after)]
    assert math.isclose(jensen_shannon(*ours), distance.jensenshannon(before, after, 2), abs_tol=1e-7)
    shares = [[one / sum(of) for one in of] for of in (before, after)]
    known = sum(stats.entropy(*pair) for pair in (shares, shares[::-1]))
    assert math.isclose(stability_index(*ours), known, abs_tol=1e-9)


@few
@given(numbers, numbers)
def test_energy(before, after):
    assert math.isclose(energy(before, after), stats.energy_distance(before, after), abs_tol=1e-7)


def test_samples_are_apart_only_if_chance_does_not_put_them_there():
    chance = random.Random(2)

    def texts(words):
        return [{chance.choice(words): 1, chance.choice(words): 1} for _ in range(40)]

    same, other = texts("abcd"), texts("cdef")
    assert apart(same, texts("abcd")).p > 0.05
    found = apart(same, other)
    assert (found.p, found.distance > found.by_chance) == (pytest.approx(0.005), True)
    assert apart(same, other) == found


@few
@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.floats(0.1, 1))
def test_equal_weights_are_none_and_their_unit_does_not_matter(values, rate):
    mean = weighted_mean(values, [1 / rate] * len(values))
    assert math.isclose(mean.value, sum(values) / len(values), abs_tol=1e-9)
    assert math.isclose(mean.total, len(values) / rate, rel_tol=1e-9)
    assert math.isclose(mean.error or 0, stats.sem(values), abs_tol=1e-9)
    assert math.isclose(mean.effective, len(values), rel_tol=1e-9)


def test_the_weighted_interval_holds_the_truth_as_often_as_it_says():
    chance = random.Random(3)
    held = 0
    for _ in range(300):
        drawn = []
        for _ in range(600):
            failed = chance.random() < 0.1
            value = float(chance.random() < (0.2 if failed else 0.8))
            rate = 1.0 if failed else 0.2
            if chance.random() < rate:
                drawn.append((value, 1 / rate))
        interval = weighted_mean(*zip(*drawn, strict=True)).interval()
        held += interval.low <= 0.74 <= interval.high
    assert 0.91 <= held / 300 <= 0.985
