"""What the runs of chaos are given: lines of a file, or the cases beside a workflow."""

import pytest

from engine.chaos.inputs import cases_beside, read_inputs
from engine.errors import InputError
from tests.flows import ask
from workflows.triage import triage


def test_cases_beside_a_workflow_are_found_and_their_inputs_read():
    path = cases_beside(triage)
    assert path is not None
    assert all(list(given) == ["message"] for given in read_inputs(path, triage))
    assert cases_beside(ask()) is None


def test_a_line_is_an_input_or_a_case(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"question": "a"}\n\n{"input": {"question": "b"}, "expect": {}}\n')
    assert read_inputs(tmp_path / "in.jsonl", ask()) == [{"question": "a"}, {"question": "b"}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "there is no input in it"),
        (b"{", "line 1: it is not JSON"),
        (b'{"question": "a"}\n[1]', "line 2: one JSON object is expected, not a list"),
        (b"\xff", "it is not UTF-8"),
        (None, "the file cannot be read: No such file or directory"),
    ],
)
def test_what_is_not_an_input_is_one_sentence(tmp_path, text, said):
    path = tmp_path / "in.jsonl"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(InputError, match=said):
        read_inputs(path, ask())
