"""What is learned from counted tokens: quantiles that outliers do not move, and estimates that never pass the bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from engine.models.calibration import FEWEST_SAMPLES, Sample, calibrated, errors_of, learn, quantile
from engine.models.tokens import bound_messages, estimate_messages

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


def sample(counted: int, likely: int = 100, bound: int = 1000) -> Sample:
    return Sample(likely=likely, bound=bound, counted=counted)


def test_the_middle_is_learned_and_outliers_do_not_move_it():
    found = learn([*[sample(110)] * 19, sample(120), sample(90_000)])
    assert found is not None
    assert (found["p50"], found["mad"]) == (1.1, 0)
    assert found["p95"] == 1.2
    assert found["p99"] > 700


def test_nothing_is_learned_from_few_calls():
    assert learn([sample(110)] * (FEWEST_SAMPLES - 1)) is None
    assert learn([sample(110, likely=0)] * 100) is None


def test_a_quantile_lies_between_two_values_by_their_distance():
    assert quantile([1.0, 2.0, 4.0], 0.5) == 2
    assert quantile([1.0, 2.0, 4.0], 0.75) == 3
    assert quantile([7.0], 0.999) == 7


def test_errors_are_parts_of_what_was_counted():
    found = errors_of([50, 100, 150, 200], [sample(100)] * 4)
    assert (found.p50, found.most, found.too_low) == (0.5, 1.0, 0.25)


@given(likely=st.integers(0, 10**6), more=st.integers(0, 10**6), ratio=st.floats(0, 1000))
def test_a_calibrated_estimate_never_passes_the_bound(likely, more, ratio):
    assert 0 <= calibrated(sample(1, likely, likely + more), ratio) <= likely + more


@given(st.lists(st.integers(1, 10**6), min_size=FEWEST_SAMPLES, max_size=60))
def test_quantiles_rise_and_lie_among_the_ratios(counts):
    found = learn([sample(count) for count in counts])
    assert found is not None
    ordered = [found[name] for name in ("p50", "p95", "p99", "p99.9")]
    assert ordered == sorted(ordered)
    assert min(counts) / 100 - 1e-4 <= ordered[0] <= ordered[-1] <= max(counts) / 100 + 1e-4


@pytest.mark.parametrize("tools", [None, [TOOL], [TOOL, TOOL]])
@given(text=st.text(max_size=60))
def test_the_likely_count_of_a_request_never_passes_its_bound(tools, text):
    call = {"id": "1", "name": "look", "args": {"at": text}}
    messages = [HumanMessage(text), AIMessage(text, tool_calls=[call]), ToolMessage(text, tool_call_id="1")]
    assert estimate_messages(messages, tools) <= bound_messages(messages, tools)
    assert estimate_messages(messages, tools) >= estimate_messages(messages)
