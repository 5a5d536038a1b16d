"""Laws of the statistics: what must not matter does not, and what is worse never looks better."""

import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.statistics.intervals import Interval, bca, clustered_mean, ratio_interval, wilson
from engine.statistics.significance import holm, mcnemar, sign_flips, wilcoxon
from engine.statistics.trials import pass_at_k, pass_hat_k

few = settings(max_examples=30, deadline=None)
CHANGES = st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=60)
NUMBERS = st.lists(st.floats(-5, 5).map(lambda one: round(one, 3)), min_size=2, max_size=11)


@few
@given(CHANGES)
def test_of_yes_and_no_sign_flips_are_mcnemars_test(changes):
    counts = Counter(changes)
    for side in ("less", "greater", "two-sided"):
        assert math.isclose(sign_flips(changes, side=side), mcnemar(counts[-1], counts[1], side), rel_tol=1e-12)


@few
@given(NUMBERS, st.randoms())
def test_the_order_of_pairs_does_not_matter_and_swapping_sides_swaps_the_answer(differences, chance):
    mixed = chance.sample(differences, len(differences))
    for test in (sign_flips, wilcoxon):
        assert test(mixed, side="less") == test(differences, side="less")
        assert test([-one for one in differences], side="greater") == test(differences, side="less")
        assert test([-one for one in differences]) == test(differences)


@few
@given(CHANGES, st.data())
def test_a_pass_that_becomes_a_failure_never_makes_a_drop_less_likely(changes, data):
    at = data.draw(st.integers(0, len(changes) - 1))
    worse = [*changes[:at], max(-1.0, changes[at] - 1), *changes[at + 1 :]]
    assert sign_flips(worse, side="less") <= sign_flips(changes, side="less") + 1e-15


@few
@given(NUMBERS)
def test_signs_of_a_cluster_flip_together(differences):
    twice, clusters = [*differences, *differences], [*range(len(differences))] * 2
    assert sign_flips(twice, clusters, "less") == sign_flips(differences, side="less")
    assert sign_flips(differences, [0] * len(differences)) == 1  # one cluster tells nothing


def test_many_different_sums_are_drawn_and_always_the_same():
    chance = random.Random(1)
    differences = [chance.gauss(0.5, 1) for _ in range(60)]
    assert sign_flips(differences, side="greater") == sign_flips(differences, side="greater") < 0.01
    assert sign_flips(differences, side="less") > 0.9
    assert sign_flips(differences[::-1], side="greater") == sign_flips(differences, side="greater")


@few
@given(st.lists(st.floats(0, 1), max_size=8), st.randoms())
def test_holm_keeps_the_order_and_never_makes_a_p_smaller(values, chance):
    adjusted = holm(values)
    assert all(one <= after <= 1 for one, after in zip(values, adjusted, strict=True))
    pairs = sorted(zip(values, adjusted, strict=True))
    assert [after for _, after in pairs] == sorted(adjusted)
    order = chance.sample(range(len(values)), len(values))
    assert holm([values[at] for at in order]) == [adjusted[at] for at in order]


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@few
@given(st.integers(0, 50), st.integers(1, 50))
def test_a_share_lies_in_its_interval_and_so_does_its_mirror(successes, more):
    trials = successes + more
    found, mirror = wilson(successes, trials), wilson(more, trials)
    assert 0 <= found.low <= successes / trials <= found.high <= 1
    assert math.isclose(found.low, 1 - mirror.high, abs_tol=1e-12)


@few
@given(st.lists(st.tuples(st.integers(0, 4), st.just(4)), min_size=1, max_size=30))
def test_all_of_more_trials_succeed_less_often_and_any_of_them_more_often(cases):
    every = [pass_hat_k(cases, k) or 0.0 for k in range(1, 5)]
    some = [pass_at_k(cases, k) or 0.0 for k in range(1, 5)]
    assert every == sorted(every, reverse=True)
    assert some == sorted(some)
    assert math.isclose(every[0], some[0])
    assert pass_hat_k(cases, 5) is None


def test_a_mean_lies_in_its_bootstrap_interval_and_constants_have_no_width():
    chance = random.Random(3)
    values = [chance.random() for _ in range(30)]

    def mean(units):
        return math.fsum(units) / len(units)

    found = bca(values, mean, resamples=500)
    assert found.low < mean(values) < found.high
    assert bca(values, mean, resamples=500) == found
    assert bca([2.0, 2.0], mean, resamples=50) == Interval(2.0, 2.0)


def test_few_and_many_units_have_about_the_same_interval_of_a_quotient():
    chance = random.Random(4)
    pairs = [(chance.random(), float(chance.random() < 0.6)) for _ in range(1_001)]
    many, few = ratio_interval(pairs), ratio_interval(pairs[:1_000])
    assert abs(many.low - few.low) < 0.01
    assert abs(many.high - few.high) < 0.01


def test_a_quotient_without_successes_has_no_bound():
    assert ratio_interval([(1.0, 0.0)] * 5).to_json() == [None, None]
    rare = ratio_interval([(1.0, 1.0), *[(1.0, 0.0)] * 3])
    assert rare.high == math.inf


def test_observations_of_one_cluster_count_less():
    alike = clustered_mean([1.0, 1.0, 0.0, 0.0], ["a", "a", "b", "b"])
    assert alike.error is not None
    assert alike.naive_error is not None
    assert alike.error > alike.naive_error
    assert clustered_mean([1.0]).interval() == Interval(-math.inf, math.inf)
