"""The gate says PASS, FAIL or INCONCLUSIVE, never more than the trials tell, and never better for what is worse."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.evals.gate import Decision, Policy, Side, decide

PASS, FAIL, INCONCLUSIVE = Decision
GRAVITY = {PASS: 0, INCONCLUSIVE: 1, FAIL: 2}


def side(*scores, trials=1, **fields):
    """Give a side of one metric: a score a case, tried so often."""
    return Side(metrics={"good": {f"c{n:03}": [score] * trials for n, score in enumerate(scores)}}, **fields)


def decision(before, after, **policy):
    return decide(side(*before), side(*after), Policy(**policy)).decision


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([1] * 100, [1] * 100, PASS),
        ([1] * 20, [1] * 20, INCONCLUSIVE),  # a drop of 5 points may not have come up
        ([1] * 20, [0] * 20, FAIL),
        ([1] * 40 + [0] * 20, [1] * 30 + [0] * 30, FAIL),
        ([1] * 40, [1] * 38 + [0] * 2, INCONCLUSIVE),
        ([0] * 20 + [1] * 20, [1] * 40, PASS),
        ([1] * 5, [0] * 5, INCONCLUSIVE),
    ],
)
def test_what_yes_and_no_tell(before, after, said):
    assert decision(before, after) is said


def test_a_drop_that_is_sure_and_surely_within_the_margin_passes():
    before, after = [1] * 2_000, [1] * 1_990 + [0] * 10
    gate = decide(side(*before), side(*after))
    (metric,) = gate.metrics
    assert (gate.decision, metric.adjusted < 0.05, metric.effect) == (PASS, True, pytest.approx(-0.005))
    assert decision(before, after, margin=0.005) is FAIL


def test_cases_of_one_cluster_count_as_one():
    before, after = [1] * 40, [1] * 30 + [0] * 10
    apart = decide(side(*before), side(*after))
    clusters = {f"c{n:03}": "same" if n >= 30 else str(n) for n in range(40)}
    together = decide(side(*before), side(*after, clusters=clusters))
    assert (apart.decision, together.decision) == (FAIL, INCONCLUSIVE)
    assert (together.metrics[0].clusters, together.metrics[0].cases) == (31, 40)
    assert together.metrics[0].detectable is not None
    assert apart.metrics[0].detectable is not None
    assert together.metrics[0].detectable > apart.metrics[0].detectable


def test_cases_that_must_pass_do_so_in_more_than_half_of_their_trials():
    good = {f"c{n:03}": [1.0, 1.0, 1.0] for n in range(100)}

    def gate(*trials, **fields):
        after = Side(metrics={"good": {**good, "c000": list(trials)}}, must_pass=frozenset({"c000"}), **fields)
        return decide(Side(metrics={"good": good}), after)

    assert [gate(1, 1, 0).decision, gate(1, 0).decision, gate(0).decision] == [PASS, FAIL, FAIL]
    assert gate(0, judged=frozenset({"good"})).limits[0].decision is INCONCLUSIVE
    assert "case c000: it must pass and does not, by good" in gate(0).reasons


def test_hard_limits_hold_by_themselves():
    ones = [1] * 100
    seconds, usd = {f"c{n:03}": [n / 100] for n in range(100)}, {"c000": [0.02], "c001": [0.04]}

    def limits(**policy):
        gate = decide(side(*ones), side(*ones, seconds=seconds, usd=usd), Policy(**policy))
        return gate.decision, [limit.decision for limit in gate.limits]

    assert limits(at_least={"good": 1.0}) == (PASS, [PASS])
    assert limits(at_least={"safe": 1.0}) == (INCONCLUSIVE, [INCONCLUSIVE])
    assert limits(p95_seconds=0.95, usd_per_run=0.02) == (FAIL, [PASS, FAIL])
    unknown = side(*ones, usd={"c000": [math.nan]})
    assert decide(side(*ones), unknown, Policy(usd_per_run=1)).decision is INCONCLUSIVE
    assert decide(side(*ones), side(*[1] * 99, 0), Policy(at_least={"good": 1.0})).decision is FAIL


def test_what_has_no_pairs_is_told():
    assert decide(Side(metrics={}), Side(metrics={})).reasons == ["there is no metric that both sides have"]
    before, after = side(*[1] * 100), side(*[1] * 90)
    assert len(decide(before, after).metrics[0].unpaired) == 10
    unknown = decide(before, after, Policy(metrics=["other"]))
    assert (unknown.decision, unknown.reasons[0]) == (
        INCONCLUSIVE,
        "other: it is no metric of both sides, which are good",
    )


def test_flaky_cases_and_all_of_k_trials_are_told_and_costs_compared():
    before = Side(metrics={"good": {str(n): [1, 1] for n in range(10)}}, usd={str(n): [0.01 * n] for n in range(10)})
    after = Side(
        metrics={"good": {str(n): [1, n % 2] for n in range(10)}}, usd={str(n): [0.01 * n + 0.001] for n in range(10)}
    )
    gate = decide(before, after)
    assert (gate.metrics[0].flaky, gate.metrics[0].pass_hat) == (["0", "2", "4", "6", "8"], [0.75, 0.5])
    (change,) = gate.changes
    assert change.candidate - change.baseline == pytest.approx(0.001)
    assert change.p == pytest.approx(2 / 2**10)


TRIALS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60)


def sides(pairs, swapped=False):
    one, other = ({f"c{n:03}": [1] * k[at] + [0] * (2 - k[at]) for n, k in enumerate(pairs)} for at in (0, 1))
    found = Side(metrics={"good": one}), Side(metrics={"good": other})
    return found[::-1] if swapped else found


@settings(max_examples=60, deadline=None)
@given(TRIALS, st.data(), st.sampled_from([0.02, 0.05, 0.2]))
def test_a_trial_that_passed_and_fails_instead_never_makes_it_better(pairs, data, margin):
    at = data.draw(st.integers(0, len(pairs) - 1))
    worse = [(before, max(0, after - 1)) if n == at else (before, after) for n, (before, after) in enumerate(pairs)]
    policy = Policy(margin=margin)
    decisions = [decide(*sides(given_), policy).decision for given_ in (pairs, worse)]
    assert GRAVITY[decisions[0]] <= GRAVITY[decisions[1]]


@settings(max_examples=30, deadline=None)
@given(TRIALS, st.randoms())
def test_the_order_does_not_matter_and_swapping_sides_swaps_the_effect(pairs, chance):
    one, other = decide(*sides(pairs)).metrics[0], decide(*sides(pairs, swapped=True)).metrics[0]
    if not math.isnan(one.effect):
        assert one.effect == pytest.approx(-other.effect)
        assert (one.better, one.worse) == (other.worse, other.better)
    base, candidate = sides(pairs)
    mixed = Side(metrics={"good": dict(chance.sample([*candidate.metrics["good"].items()], len(pairs)))})
    assert decide(base, mixed).metrics[0].p == decide(base, candidate).metrics[0].p


def test_with_several_metrics_chance_alone_fails_no_more_often():
    chance = random.Random(5)

    def fails():
        names = [f"m{n}" for n in range(4)]
        both = [
            Side(metrics={name: {str(n): [float(chance.random() < 0.7)] for n in range(30)} for name in names})
            for _ in range(2)
        ]
        return decide(*both).decision is FAIL

    assert sum(fails() for _ in range(200)) <= 16  # 5 % of 200, and two standard errors
