"""The figures of a guardrail: counted by source, with intervals, from the command line too."""

import gzip
import json

import pytest
from typer.testing import CliRunner

from engine import Action, Guardrail, Verdict
from engine.cli.main import cli
from engine.errors import InputError
from engine.reports.detection import Share, detection_of


class Bad(Guardrail):
    word: str = "bad"

    def check_text(self, text, item):
        return Verdict(action=Action.FLAG if self.word in text else Action.ALLOW)


ROWS = [
    {"text": "bad one", "label": "attack", "source": "a"},
    {"text": "hidden", "label": "attack", "source": "b"},
    {"text": "fine", "label": "benign", "source": "a"},
    {"text": "not bad", "label": "benign", "source": "a"},
]


async def test_found_and_false_are_counted_by_source():
    figures = (await detection_of(Bad(), ROWS)).to_json()
    assert (figures["guard"], figures["rows"]) == ("bad", 4)
    assert (figures["recall"], figures["false_alarm_rate"]) == (0.5, 0.5)
    assert figures["by_source"]["b"] == {"rows": 1, "recall": 0.0, "false_alarm_rate": None}
    assert 0 <= figures["p50_ms"] <= figures["p99_ms"]


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"), [(0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (50, 100, 0.404, 0.596)]
)
def test_the_interval_is_wilsons(hits, of, low, high):
    assert Share(hits, of).interval == pytest.approx((low, high), abs=0.001)
    assert Share().interval is None


@pytest.mark.parametrize("row", [{"text": "no label"}, {"label": "attack"}])
async def test_a_row_that_says_too_little_is_named(row):
    with pytest.raises(InputError, match="row 1 has no"):
        await detection_of(Bad(), [row])


def run(*arguments):
    return CliRunner().invoke(cli, ["guard", "test", *map(str, arguments)])


def test_the_command_measures_a_guardrail_by_its_name_its_path_or_its_json(tmp_path):
    file = tmp_path / "rows.jsonl.gz"
    rows = [{"text": "mail me: ann@example.com", "label": "pii"}, {"text": "nothing", "label": "none"}]
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    for guard in ("pii", "guardrails.pii:Pii", '{"kind": "guardrails.pii:Pii", "kinds": ["email"]}'):
        figures = json.loads(run(guard, file, "--json").stdout)
        assert (figures["recall"], figures["false_alarm_rate"]) == (1.0, 0.0)
    assert "100.0% of 1" in run("Pii", file).stdout


@pytest.mark.parametrize(
    ("guard", "said"),
    [
        ("nothing", "there is no guardrail 'nothing'"),
        ("MaxLength", "MaxLength cannot be tested as it is"),
        ("json:dumps", "cannot be tested as it is"),
        ("json:JSONDecoder", "is not a guardrail"),
        ('{"kind"', "is not JSON"),
        ("pii", "line 2 of"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_sentence(tmp_path, guard, said):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"label": "none", "text": "x"}\nnot json\n')
    assert said in str(run(guard, file).exception)
