"""Laws of the statistics: what must not matter does not, and what is worse never looks better."""

import math
import random
from collections import Counter
from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.statistics.intervals import Interval, bca, clustered_mean, ratio_interval, wilson
from engine.statistics.permutation import trials_dropped
from engine.statistics.significance import holm, mcnemar, wilcoxon
from engine.statistics.trials import pass_at_k, pass_hat_k

few = settings(max_examples=30, deadline=None)
NUMBERS = st.lists(st.floats(-5, 5).map(lambda one: round(one, 3)), min_size=2, max_size=11)


SIDE = st.lists(st.integers(0, 1), min_size=1, max_size=3)
CASES = st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=9)


@few
@given(st.lists(st.sampled_from([(0, 0), (0, 1), (1, 0), (1, 1)]), min_size=1, max_size=60))
def test_of_one_trial_a_side_the_permutation_of_trials_is_mcnemars_test(pairs):
    counts = Counter(pairs)
    known = mcnemar(counts[1, 0], counts[0, 1], "less")
    assert math.isclose(trials_dropped([([one], [other]) for one, other in pairs]), known, rel_tol=1e-9)


@few
@given(NUMBERS, st.randoms())
def test_the_order_of_pairs_does_not_matter_and_swapping_sides_swaps_the_answer(differences, chance):
    mixed = chance.sample(differences, len(differences))
    assert wilcoxon(mixed, side="less") == wilcoxon(differences, side="less")
    assert wilcoxon([-one for one in differences], side="greater") == wilcoxon(differences, side="less")
    assert wilcoxon([-one for one in differences]) == wilcoxon(differences)


@few
@given(CASES, st.randoms())
def test_neither_the_order_of_cases_nor_that_of_trials_matters(cases, chance):
    mixed = [tuple(chance.sample(one, len(one)) for one in case) for case in chance.sample(cases, len(cases))]
    assert math.isclose(trials_dropped(mixed), trials_dropped(cases), rel_tol=1e-9)


@few
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=8))
def test_a_p_below_the_level_is_as_rare_as_the_level(counts):
    pools = [[1] * (one + other) + [0] * (4 - one - other) for one, other in counts[:3]]
    ways = [[(one[:2], one[2:]) for one in set(permutations(pool))] for pool in pools]
    found = [trials_dropped(list(dealt)) for dealt in product(*ways)]
    for level in (0.05, 0.1, 0.3):
        assert sum(p <= level for p in found) <= level * len(found) + 1e-9


@few
@given(CASES, st.data())
def test_a_pass_that_becomes_a_failure_never_makes_a_drop_less_likely(cases, data):
    at = data.draw(st.integers(0, len(cases) - 1))
    before, after = cases[at]
    worse = [*cases[:at], (before, [0, *after[1:]]), *cases[at + 1 :]]
    assert trials_dropped(worse, range(len(cases))) <= trials_dropped(cases, range(len(cases))) + 0.05


def test_trials_of_a_cluster_are_dealt_together():
    one, other = [1, 0, 1], [0, 0, 1]
    assert trials_dropped([(one, other)] * 4, [0] * 4) == trials_dropped([(one, other)])
    assert trials_dropped([([1], [0])] * 8, [0] * 8) == 0.5  # one cluster tells nothing
    uneven = [([1, 1], [0]), ([1], [0, 0])]
    assert trials_dropped(uneven, [0, 0]) == 0.5


def test_sums_that_are_too_many_to_count_are_drawn_or_normal():
    chance = random.Random(1)

    def drop(many, trials, by):
        return [([chance.random() for _ in range(trials)], [chance.random() - by for _ in range(trials)]) for _ in many]

    few_cases, many_cases = drop(range(30), 3, 0.2), drop(range(450), 2, 0.02)
    assert trials_dropped(few_cases) == trials_dropped(few_cases) < 0.05
    assert 0.001 < trials_dropped(many_cases) < 0.9
    yes = [([int(chance.random() < 0.6)] * 2, [int(chance.random() < 0.6), 0]) for _ in range(1_500)]
    assert trials_dropped(yes) < 1e-9


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
