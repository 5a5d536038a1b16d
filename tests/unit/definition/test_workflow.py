"""A workflow is a value: it survives JSON, knows its version and says how much a run can do."""

import sys

import pytest

from engine.definition.bounds import model_calls, visits
from engine.definition.edges import END, START, Branch, Chain
from engine.definition.policies import Budget, Retry
from engine.definition.workflow import Workflow
from engine.nodes.compute import Compute
from engine.nodes.generate import Generate
from tests.flows import Ask, ask, go_right, line, noting


def test_a_workflow_survives_json_with_the_same_version():
    once = ask()
    again = Workflow.from_json(once.to_json())
    assert again == once
    assert again.version == once.version
    assert again.to_json() == once.to_json()


def test_the_version_follows_everything_that_is_said():
    draft = Generate(model="large", prompt="Say {question}", into="answer", max_tokens=50)
    versions = {
        line(("draft", draft)).version,
        line(("draft", draft.model_copy(update={"max_tokens": 51}))).version,
        line(("draft", draft), budget=Budget(tokens=5)).version,
        line(("draft", Generate(model="large", prompt="Tell {question}", into="answer", max_tokens=50))).version,
    }
    assert len(versions) == 4


def test_the_version_follows_the_source_of_the_code_it_names(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "counting_for_versions.py"
    versions = set()
    for more in (1, 2):
        module.write_text(f"def up(count: int) -> int:\n    return count + {more}\n")
        sys.modules.pop("counting_for_versions", None)
        import linecache

        linecache.clearcache()
        versions.add(line(("up", Compute(function="counting_for_versions:up", into="count"))).version)
    assert len(versions) == 2


def test_a_workflow_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        ask().name = "other"


def test_a_picture_names_every_node_and_way():
    drawn = ask().mermaid()
    assert drawn.startswith("flowchart TD")
    assert 'n_check -- "verdict = bad" --> n_ticket' in drawn
    assert "n_ticket --> END_" in drawn


def test_a_run_visits_each_node_once_outside_loops():
    assert visits(ask()) == {"find": 1, "draft": 1, "check": 1, "ticket": 1}


def test_the_bound_of_a_loop_bounds_all_its_nodes():
    turn = Compute(function=go_right, into="route", max_visits=3)
    loop = Workflow(
        name="loop",
        state=Ask,
        nodes={"turn": turn, "again": noting()},
        edges=[
            Chain(START, "turn"),
            Branch("turn", on="route", to={"left": "again", "right": END}),
            Chain("again", "turn"),
        ],
    )
    assert visits(loop) == {"turn": 3, "again": 4}


def test_model_calls_count_attempts_and_reasks():
    draft = Generate(model="large", prompt="x", into="answer", max_tokens=50, retry=Retry(attempts=4), reasks=2)
    (calls,) = model_calls(line(("draft", draft)))
    assert (calls.node, calls.role, calls.calls, calls.max_tokens) == ("draft", "large", 12, 50)
