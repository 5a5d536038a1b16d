"""Contributions of parts add up to the change, and a part that is everything tells nothing."""

import math
from statistics import fmean

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.statistics.contribution import contributions

units = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 1)), min_size=1, max_size=30)


@settings(max_examples=40, deadline=None)
@given(units, units)
def test_they_add_up_to_the_change(before, after):
    total = fmean(value for _, value in after) - fmean(value for _, value in before)
    assert math.isclose(sum(one.change for one in contributions(before, after)), total, abs_tol=1e-9)


def test_the_part_that_began_to_fail_comes_first_and_a_new_one_counts_whole():
    before = [("old", 0.0)] * 50 + [("pay", 0.0)] * 50
    first, *_ = contributions(before, [("old", 0.0)] * 50 + [("pay", 1.0)] * 50)
    assert (first.part, first.before, first.after, first.explains, first.excess) == ("pay", 0, 1, 1, 0.5)
    new, gone = contributions([("v1", 0.0)] * 10, [("v2", 1.0)] * 10)
    assert (new.part, new.before, new.explains, gone.after) == ("v2", None, 1, None)
    (alone,) = contributions([("all", 0.0)] * 10, [("all", 1.0)] * 10)
    assert (alone.explains, alone.excess) == (1, 0)
    (fresh,) = contributions([], [("x", 1.0)])
    assert (fresh.explains, fresh.excess, contributions([("x", 1.0)], [("x", 1.0)])[0].explains) == (1, 0, 0)
