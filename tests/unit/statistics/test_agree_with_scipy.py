"""Our own statistics say what SciPy says, to nine digits."""

import math
import random
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from engine.statistics.distributions import t_cdf, t_quantile
from engine.statistics.intervals import bca_of, clustered_mean, quantile, quantile_interval, wilson
from engine.statistics.permutation import trials_dropped
from engine.statistics.significance import detectable, mcnemar, wilcoxon

few = settings(max_examples=30, deadline=None)
SIDES = ("less", "greater", "two-sided")


def close(value: float, other: float) -> bool:
    return math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-9)


@few
@given(st.integers(0, 400), st.integers(0, 400), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson(successes, failures, confidence):
    if successes + failures:
        found = wilson(successes, successes + failures, confidence)
        known = stats.binomtest(successes, successes + failures).proportion_ci(confidence, method="wilson")
        assert close(found.low, known.low)
        assert close(found.high, known.high)


@few
@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from(SIDES))
def test_mcnemar(worse, better, side):
    known = stats.binomtest(better, worse + better, alternative=side).pvalue if worse + better else 1.0
    assert close(mcnemar(worse, better, side), known)


@few
@given(st.floats(-40, 40), st.floats(0.5, 500))
def test_students_t(value, freedom):
    assert close(t_cdf(value, freedom), stats.t.cdf(value, freedom))


@few
@given(st.floats(0.001, 0.999), st.floats(1, 500))
def test_quantiles_of_students_t(chance, freedom):
    assert close(t_quantile(chance, freedom), stats.t.ppf(chance, freedom))


@few
@given(st.lists(st.floats(-9, 9), min_size=3, max_size=40, unique_by=abs), st.sampled_from(SIDES))
def test_wilcoxon_exact(differences, side):
    if all(differences):
        assert close(wilcoxon(differences, side), stats.wilcoxon(differences, alternative=side, method="exact").pvalue)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("digits", [1, 6])
def test_wilcoxon_of_many_with_ties(side, digits):
    chance = random.Random(5)
    differences = [round(chance.gauss(0.1, 1), digits) for _ in range(300)]
    known = stats.wilcoxon(differences, alternative=side, method="asymptotic", correction=False).pvalue
    assert close(wilcoxon(differences, side), known)


@few
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=9))
def test_trials_of_many_cases(pairs):
    differences = [after - before for before, after in pairs]
    known = stats.permutation_test((differences,), sum, permutation_type="samples", alternative="less").pvalue
    ours = trials_dropped([([before / 9], [after / 9]) for before, after in pairs], range(len(pairs)))
    assert ours <= known + 1e-9  # equal drops are told apart by where they are
    if len({before + after for before, after in pairs}) == 1:
        assert close(ours, known)


@few
@given(st.lists(st.integers(0, 9), min_size=2, max_size=4), st.lists(st.integers(0, 9), min_size=2, max_size=4))
def test_trials_of_one_case(before, after):
    def drop(one, other):
        return sum(other) / len(other) - sum(one) / len(one)

    known = stats.permutation_test((before, after), drop, permutation_type="independent", alternative="less").pvalue
    assert close(trials_dropped([([x / 10 for x in before], [x / 10 for x in after])]), known)


def test_wilcoxon_with_ties_is_the_permutation_of_ranks():
    differences = [1.0, -1.0, 2.0, 2.0, 2.0, -3.0, 4.0, 0.0]
    nonzero = [one for one in differences if one]
    ranks = [
        math.copysign(rank, one) for rank, one in zip(stats.rankdata(list(map(abs, nonzero))), nonzero, strict=True)
    ]
    known = stats.permutation_test((ranks,), sum, permutation_type="samples", alternative="greater").pvalue
    assert close(wilcoxon(differences, "greater"), known)


@pytest.mark.parametrize("spread", [0.4, 1.2])
def test_bca(spread):
    chance = random.Random(7)
    units = [chance.lognormvariate(0, spread) for _ in range(40)]
    mean = math.fsum(units) / len(units)
    drawn = [math.fsum(chance.choices(units, k=40)) / 40 for _ in range(999)]
    left_out = [(math.fsum(units) - one) / 39 for one in units]
    found = bca_of(mean, drawn, left_out, 0.9)
    known = stats.bootstrap(
        (units,),
        np.mean,
        confidence_level=0.9,
        method="BCa",
        n_resamples=0,
        bootstrap_result=SimpleNamespace(bootstrap_distribution=np.array(drawn)),
    ).confidence_interval
    assert close(found.low, known.low)
    assert close(found.high, known.high)


@few
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=30))
def test_the_clustered_error_is_that_of_the_means_of_clusters_of_one_size(triples):
    values = [value for triple in triples for value in triple]
    clusters = [number for number in range(len(triples)) for _ in range(3)]
    found = clustered_mean(values, clusters)
    assert close(found.error or 0.0, stats.sem([sum(triple) / 3 for triple in triples]))
    assert close(found.naive_error or 0.0, stats.sem(values))
    if found.error:
        known = stats.t.interval(0.9, len(triples) - 1, loc=found.value, scale=found.error)
        assert all(map(close, (found.interval(0.9).low, found.interval(0.9).high), known))


@few
@given(st.lists(st.floats(-9, 9), min_size=1, max_size=30), st.floats(0, 1))
def test_quantiles_of_samples(values, share):
    assert close(quantile(sorted(values), share), float(np.quantile(values, share)))


@few
@given(st.integers(1, 300) | st.integers(90_000, 90_100), st.sampled_from([0.5, 0.95, 0.99]))
def test_quantiles_lie_between_order_statistics(many, share):
    found = quantile_interval(range(many), share)
    low, high = stats.binom.ppf([0.025, 0.975], many, share)
    reaches = stats.binom.cdf(low, many, share) <= 0.025
    assert found.low in (low - (not reaches), -math.inf)
    assert (found.low == -math.inf) == (low - (not reaches) < 0)
    assert found.high == (high if high < many else math.inf)


def test_what_can_be_detected_is_what_the_test_finds_with_that_power():
    assert close(detectable(0.1, 19), 0.1 * (stats.t.ppf(0.95, 19) + stats.t.ppf(0.8, 19)))
