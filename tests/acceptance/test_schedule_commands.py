"""Schedules, batches and what people said, from the command line."""

import json

import pytest


@pytest.fixture
def flowledger(flowledger, monkeypatch):
    """Run `flowledger` over an app whose workflows need no model."""
    monkeypatch.setenv("FLOWLEDGER_APP", "tests.queues:app")
    return flowledger


def test_a_schedule_is_added_shown_worked_on_paused_and_removed(flowledger):
    minutely = ("* * * * *", "notes", "question=why", "--start", "2026-01-01", "--catch-up", "all", "--most", "2")
    added = flowledger("schedule", "add", "minutely", *minutely)
    assert (added.code, added.out) == (0, "minutely queues notes at Thu 2026-01-01 00:00 UTC next\n")
    berlin = ("30 2 * * *", "fails", "question=why", "--zone", "Europe/Berlin", "--start", "2099-01-01", "--json")
    nightly = json.loads(flowledger("schedule", "add", "nightly", *berlin).out)
    assert (nightly["zone"], nightly["given"]) == ("Europe/Berlin", {"question": "why"})
    coming = flowledger("schedule", "next", "nightly", "--count", "2")
    assert coming.out.splitlines() == [
        "Thu 2099-01-01 02:30 CET (2099-01-01 01:30:00 UTC)",
        "Fri 2099-01-02 02:30 CET (2099-01-02 01:30:00 UTC)",
    ]
    worked = json.loads(flowledger("worker", "--until-empty", "--json").out)
    assert worked["succeeded"] >= 2
    listed = {one["name"]: one for one in json.loads(flowledger("schedule", "list", "--json").out)}
    runs = json.loads(flowledger("runs", "--schedule", "minutely", "--json").out)
    assert listed["minutely"]["run_id"] in {run["run_id"] for run in runs}
    assert (len(runs), listed["nightly"]["run_id"]) == (worked["succeeded"], None)
    assert "unpause nightly" in flowledger("schedule", "pause", "nightly").out
    assert "paused" in flowledger("schedule", "list").out
    assert "but it is paused" in flowledger("schedule", "next", "nightly").out
    assert flowledger("schedule", "unpause", "nightly").out.startswith("nightly goes on at ")
    assert flowledger("schedule", "remove", "minutely").out == "minutely is gone\n"
    said = json.loads(flowledger("events", "--since", "1d", "--json").out)
    assert [one["what"].removesuffix(" schedule") for one in said] == ["remove", "unpause", "pause", "add", "add"]
    assert "pause schedule" in flowledger("events", "--subject", "nightly").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "x", "61 * * * *", "notes", "question=a"], "has a minute that cannot be"),
        (["add", "x", "* * * *", "notes", "question=a"], "does not have five fields"),
        (["add", "x", "* * * * *", "notes", "question=a", "--zone", "Berlin"], "'Berlin' is no time zone"),
        (["add", "x", "* * * * *", "notes", "question=a", "--catch-up", "some"], "catch-up is one of"),
        (["add", "x", "* * * * *", "notes"], "the input does not fit"),
        (["add", "x", "* * * * *", "nothing", "question=a"], "there is no workflow 'nothing'"),
        (["add", " ", "* * * * *", "notes", "question=a"], "a schedule needs a name"),
        (["next", "x"], "there is no schedule 'x'"),
        (["remove", "x"], "there is no schedule 'x'"),
        (["unpause", "x"], "there is no schedule 'x'"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_in_a_sentence(flowledger, arguments, said):
    ran = flowledger("schedule", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_a_batch_is_queued_watched_and_cancelled(flowledger, tmp_path):
    (tmp_path / "inputs.jsonl").write_text('{"question": "one"}\n{"question": "two"}\n', encoding="utf-8")
    queued = flowledger("enqueue", "notes", "--from", "inputs.jsonl", "--batch", "my batch")
    assert queued.out == "2 queued in the queue default: flowledger batch 'my batch'\n"
    again = json.loads(flowledger("enqueue", "notes", "--from", "inputs.jsonl", "--batch", "my batch", "--json").out)
    (listed,) = json.loads(flowledger("batch", "--json").out)
    assert (listed["runs"], {run["batch_id"] for run in again}) == (2, {listed["batch_id"]})
    assert "nobody works on it yet" in flowledger("batch", "my batch").out
    flowledger("worker", "--until-empty")
    done = flowledger("batch", "my batch", "--wait", "--json")
    assert (done.code, json.loads(done.out)["counts"]) == (0, {"succeeded": 2})
    assert len(json.loads(flowledger("runs", "--batch", "my batch", "--json").out)) == 2
    (cost,) = json.loads(flowledger("cost", "--by", "batch", "--json").out)
    assert (cost["batch"], cost["runs"]) == (listed["batch_id"], 2)
    flowledger("enqueue", "fails", "question=why", "--batch", "lone")
    cancelled = json.loads(flowledger("batch", "cancel", "lone", "--json").out)
    assert (cancelled["counts"], cancelled["ended"]) == ({"cancelled": 1}, 1)
    assert flowledger("batch", "lone", "--wait").code == 1
    assert "cancel batch" in flowledger("events").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "no batch has the name or id 'nothing'"),
        (["cancel", "nothing"], "no batch has the name or id 'nothing'"),
        (["--wait"], "--wait waits for one batch: say which"),
    ],
)
def test_a_batch_that_is_not_there_is_named_in_a_sentence(flowledger, arguments, said):
    ran = flowledger("batch", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
