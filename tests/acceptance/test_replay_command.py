"""A run replayed from the command line: for nothing, with a change, and what is said when that cannot be."""

import json

import pytest


@pytest.fixture
def ran(flowledger):
    """Run a workflow, and give its id."""
    return json.loads(flowledger("run", "say", "question=q", "--json").out)["run_id"]


def test_a_recorded_replay_costs_nothing_and_says_that_it_ended_as_before(flowledger, ran):
    found = flowledger("replay", ran, "--recorded")
    assert (found.code, "1 attempts from the tape, 0 made, $0" in found.out) == (0, True)
    assert "it ended as before" in found.out
    plain = json.loads(flowledger("replay", ran, "--recorded", "--json").out)
    assert (plain["replay_of"], plain["played"], plain["live"], plain["difference"]) == (ran, 1, 0, None)


def test_a_failed_run_fails_again_in_the_same_way(flowledger):
    failed = json.loads(flowledger("run", "nonsense", "question=q", "--json").out)["run_id"]
    found = flowledger("replay", failed, "--recorded")
    assert (found.code, "it ended as before" in found.out) == (0, True)


def test_a_changed_prompt_is_asked_and_in_a_recorded_replay_named(flowledger, ran, tmp_path):
    (tmp_path / "better.md").write_text("Better: {question}", encoding="utf-8")
    live = json.loads(flowledger("replay", ran, "--set", "prompt.node=@better.md", "--json").out)
    assert (live["status"], live["live"], live["played"]) == ("succeeded", 1, 0)
    recorded = flowledger("replay", ran, "--recorded", "--set", "prompt.node=@better.md")
    assert recorded.code == 1
    assert "messages[0].content was 'q' and is 'Better: q'" in recorded.out


def test_another_model_is_asked_where_that_is_said(flowledger, ran):
    found = json.loads(flowledger("replay", ran, "--set", "model.good=embedded", "--json").out)
    assert (found["live"], found["status"]) == (1, "succeeded")


def test_what_it_may_cost_is_a_limit(flowledger, ran):
    found = flowledger("replay", ran, "--from", "node", "--max-cost", "0.000001", "--json")
    assert json.loads(found.out)["status"] == "budget_exceeded"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "colour=red"], "write model.ROLE=SPEC"),
        (["--set", "node.other.max_tokens=3"], "names the node 'other'"),
        (["--set", "node.node.max_tokens=0"], "max_tokens"),
        (["--from", "nowhere"], "never came to 'nowhere'"),
        (["--max-cost", "much"], "US dollars"),
        (["--set", "prompt.node=@nowhere.md"], "cannot be read"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(flowledger, ran, options, said):
    found = flowledger("replay", ran, *options)
    assert (found.code, said in found.err, "Traceback" in found.err) == (2, True, False)


def test_a_batch_whose_price_is_no_amount_is_not_begun(flowledger, ran):
    found = flowledger("replay", "--workflow", "say", "--max-cost", "much", "--yes", "--json")
    assert (found.code, "US dollars" in found.err, ran in found.out) == (2, True, False)


def test_a_run_that_is_not_there_is_named(flowledger):
    assert flowledger("replay", "ffff").code == 2
