"""Alarms and online scores from the command line."""

import json
from datetime import timedelta

import pytest

from engine import Alarm, Evaluation, Sampling


@pytest.fixture
def watched(flowledger, monkeypatch):
    """Run `flowledger` over an app that watches how often runs fail, and scores every run of one workflow."""
    alarm = Alarm(name="fails", metric="run_failure_rate", above=0.4, least=2, window=timedelta(hours=1))
    monkeypatch.setattr("tests.cli_app.app.alarms", (alarm,))
    monkeypatch.setattr("tests.cli_app.app.evaluation", Evaluation(online=[Sampling(workflow="say", rate=1)]))
    return flowledger


def test_an_alarm_is_checked_shown_acknowledged_and_silenced(watched):
    assert "no worker has looked" in watched("alarms", "show").out
    assert watched("alarms", "show", "--check").code == 0
    for _ in range(9):
        watched("run", "tool-raises", "question=q")
    checked = watched("alarms", "show", "--check", "--json")
    (state,) = json.loads(checked.out)
    assert (checked.code, state["status"], state["value"], state["many"]) == (1, "raised", 1.0, 9)
    assert "raised" in watched("alarms", "show").out
    assert watched("alarms", "acknowledge", "fails", "--note", "on it").out == "fails is acknowledged\n"
    assert watched("alarms", "silence", "fails", "--for", "2h").out == "fails is silenced\n"
    assert "(silenced)" in watched("alarms", "show").out
    told = json.loads(watched("alarms", "history", "--json").out)
    assert [one["what"] for one in told] == ["silenced", "acknowledged", "raised"]
    history = watched("alarms", "history", "fails").out
    assert "acknowledged by " in history
    assert "runs: " in history
    assert "log: told at " in history
    (arrived,) = told[2]["deliveries"]
    assert (arrived["sink"], arrived["attempts"], arrived["trouble"]) == ("0 log", 1, None)


def test_online_scores_are_made_and_shown(watched):
    for _ in range(3):
        watched("run", "say", "question=q")
    made = watched("eval", "online", "--score", "--since", "1h")
    assert "3 runs scored, 0 not drawn" in made.err
    assert "say: 3 scored" in made.out
    (row,) = json.loads(watched("eval", "online", "--json").out)["scores"]
    assert (row["evaluator"], row["scored"], row["mean"]) == ("succeeded", 3, 1.0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["alarms", "acknowledge", "other"], "the app has no alarm 'other'"),
        (["alarms", "acknowledge", "fails"], "no worker has looked at an alarm 'fails'"),
        (["alarms", "history", "other"], "the app has no alarm 'other'; its alarms are: fails"),
        (["alarms", "silence", "fails", "--for", "long"], "--for 'long' is not a span"),
        (["eval", "online", "--by", "colour"], "sampled runs are told apart by"),
        (["eval", "online", "--since", "soon"], "neither a span like 12h"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(watched, arguments, said):
    ran = watched(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_an_app_without_alarms_or_samples_says_what_it_lacks(flowledger):
    assert "the app has no alarms" in flowledger("alarms", "show", "--check").err
    history = flowledger("alarms", "history", "NOPE")
    assert (history.code, "the app has no alarm 'NOPE'; its alarms are: none" in history.err) == (2, True)
    assert "the app samples no runs" in flowledger("eval", "online", "--score").err
