"""The calls that a public benchmark expects pass the check of arguments, and none that is spoilt does."""

import pytest

from benchmarks.tool_arguments import measure
from tests.public_data import EVALUATION

pytestmark = pytest.mark.skipif(
    not (EVALUATION / "corpora").is_dir(), reason="the public evaluation sets are not beside this repository"
)


def test_expected_calls_pass_and_spoilt_ones_are_refused():
    measured = measure(EVALUATION)
    expected = measured.pop("expected")
    assert expected.passed == expected.calls == 122
    assert {kind: (counts.passed, counts.calls > 100) for kind, counts in measured.items()} == {
        "of the wrong type": (0, True),
        "left out": (0, True),
        "unknown": (0, True),
    }
