"""State: how fields take in what is written, and what the input of a run may be."""

from typing import Annotated, Literal

import pytest

from engine.definition.fits import can_hold
from engine.definition.state import Append, MergeByKey, Replace, State, fields_of, initial_state
from engine.errors import InputError, UpdateInvalid
from tests.flows import Ask


def test_a_field_replaces_unless_it_says_otherwise():
    fields = fields_of(Ask)
    assert isinstance(fields["answer"].merge, Replace)
    assert fields["answer"].merge.merge("old", "new") == "new"
    assert fields["notes"].merge.merge(["a"], ["b"]) == ["a", "b"]


def test_fields_merge_by_key():
    assert MergeByKey().merge({"a": 1, "b": 1}, {"b": 2}) == {"a": 1, "b": 2}
    assert MergeByKey("id").merge([{"id": 1, "n": 1}], [{"id": 2}, {"id": 1, "n": 2}]) == [{"id": 1, "n": 2}, {"id": 2}]


def test_the_whole_state_comes_from_the_input_and_the_defaults():
    state = initial_state(Ask, {"question": "why"})
    assert state["question"] == "why"
    assert state["notes"] == []
    assert state["verdict"] is None


def test_every_fault_of_an_input_is_named_with_the_fields_there_are():
    with pytest.raises(InputError) as caught:
        initial_state(Ask, {"qestion": "why", "count": "many"})
    said = str(caught.value)
    assert "question: field required" in said
    assert "qestion: extra inputs are not permitted" in said
    assert "count: input should be a valid integer" in said
    assert "its fields are question, passages (optional)" in said


def test_a_value_that_does_not_fit_its_field_is_refused():
    with pytest.raises(UpdateInvalid, match="the field 'verdict' cannot hold this"):
        fields_of(Ask)["verdict"].to_json("odd")


class Wide(State):
    numbers: list[int] = []
    either: int | str = 0
    choice: Literal["a", "b"] = "a"
    marked: Annotated[list[str], Append()] = []


@pytest.mark.parametrize(
    ("field", "written", "fits"),
    [
        (str, str, True),
        (str, int, False),
        (float, int, True),
        (int, bool, False),
        (int | None, int, True),
        (int, int | None, False),
        (Literal["a", "b"], Literal["a"], True),
        (Literal["a"], Literal["a", "b"], False),
        (Literal["a"], str, False),
        (str, Literal["a"], True),
        (list[int], list[int], True),
        (list[int], list[str], False),
        (list[str], str, False),
        (dict[str, int], dict, True),
        (dict, State, True),
        (State, Ask, True),
        (Ask, State, False),
    ],
)
def test_types_fit_or_do_not(field, written, fits):
    assert can_hold(field, written) is fits
