"""Reports of a gate are well-formed, whatever names hold."""

from html.parser import HTMLParser
from xml.etree import ElementTree

from engine.evals.gate import Policy, Side, decide
from engine.evals.gate_report import to_html, to_junit, to_markdown

HOSTILE = "<script>alert(1)</script> ]]> & \"' | \N{GRINNING FACE} \x00\x1b\ufffe\ud800\nsecond"


def hostile_gate():
    cases = {f"{HOSTILE}{n}": [1.0, 0.0] for n in range(8)}
    one = Side(metrics={HOSTILE: cases}, must_pass=frozenset(cases))
    return decide(one, one, Policy(at_least={HOSTILE: 1.0}))


def test_hostile_names_leave_junit_well_formed():
    found = ElementTree.fromstring(to_junit(hostile_gate(), HOSTILE))
    assert len(found) == 10
    assert "]]> & \"' | \N{GRINNING FACE} \nsecond" in found[0].attrib["name"]


def test_hostile_names_run_nothing_in_the_page():
    tags: list[str] = []
    reader = HTMLParser()
    reader.handle_starttag = lambda tag, attrs: tags.append(tag)
    reader.feed(to_html(hostile_gate(), HOSTILE))
    assert "svg" in tags
    assert "script" not in tags


def test_hostile_names_stay_in_their_lines_and_cells_of_markdown():
    lines = to_markdown(hostile_gate(), HOSTILE).split("\n")
    assert not any(line.startswith("second") or "<script>" in line for line in lines)
    (row,) = [line for line in lines if line.startswith("|") and "INCONCLUSIVE" in line]
    assert row.replace("\\|", "").count("|") == lines[lines.index(row) - 1].count("|")
