"""A run waits for a person at the command line: shown, answered, refused, cancelled, and gone on with elsewhere."""

import json
import sys

import pytest

from engine.errors import VersionChanged
from engine.nodes.call_tool import CallTool
from engine.records import RunStatus
from tests.flows import app_for, line, noting, open_ticket


@pytest.fixture
def waiting(flowledger):
    """Give the id of a run that waits for a tool to be approved."""
    ran = flowledger("run", "sends", "question=a letter")
    assert ran.code == 4
    (run,) = json.loads(flowledger("runs", "--status", "waiting", "--json").out)
    assert f"waiting at node: May this be sent?\n  flowledger approve {run['run_id']}\n" in ran.err
    return run["run_id"]


def asked(flowledger, run_id):
    return json.loads(flowledger("show", run_id, "--json").out)["questions"]


def test_the_exact_action_is_shown_and_agreed_to_by_its_digest(flowledger, waiting):
    refused = flowledger("approve", waiting)
    assert refused.code == 2
    (question,) = asked(flowledger, waiting)
    digest = question["digest"][:12]
    for part in ("May this be sent?", 'tool: "send"', 'arguments: {"question": "a letter"}', f"add --digest {digest}"):
        assert part in refused.err
    assert "is about" in flowledger("approve", waiting, "--digest", "0123").err
    ran = flowledger("approve", waiting, "--digest", digest, "--json")
    assert (ran.code, json.loads(ran.out)["output"]["ticket"]) == (0, "sent a letter")
    (question,) = asked(flowledger, waiting)
    assert (question["status"], question["shown"]["arguments"]) == ("answered", {"question": "a letter"})
    again = flowledger("approve", waiting, "--yes")
    assert (again.code, "waits for nobody: it is succeeded" in again.err) == (2, True)


@pytest.mark.parametrize(("typed", "code", "status"), [(True, 0, "succeeded"), (False, 4, "waiting")])
def test_on_a_terminal_somebody_is_asked(flowledger, waiting, monkeypatch, typed, code, status):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: typed)
    assert flowledger("approve", waiting).code == code
    assert json.loads(flowledger("show", waiting, "--json").out)["run"]["status"] == status


def test_a_refusal_ends_the_run_and_is_shown_under_its_step(flowledger, waiting):
    ran = flowledger("approve", waiting, "--reject", "not today")
    assert (ran.code, "a person refused it: not today" in ran.err) == (1, True)
    tree = flowledger("show", waiting).out
    assert "refused  May this be sent?" in tree
    assert "not today" in tree


def test_a_value_is_given_as_json_and_must_fit(flowledger):
    flowledger("run", "asks", "question=where to?")
    (run,) = json.loads(flowledger("runs", "--json").out)
    without = flowledger("approve", run["run_id"], "--yes")
    assert (without.code, "asks for a value: give --answer JSON" in without.err) == (2, True)
    assert "is not an answer to 'Which way?'" in flowledger("approve", run["run_id"], "--answer", '"up"').err
    assert "a text is" in flowledger("approve", run["run_id"], "--answer", "left").err
    assert "say one of" in flowledger("approve", run["run_id"], "--answer", '"left"', "--yes").err
    ran = flowledger("approve", run["run_id"], "--answer", '"left"')
    assert (ran.code, "route: left" in ran.out) == (0, True)


def test_the_next_question_of_a_run_is_a_new_one(flowledger):
    flowledger("run", "sends-twice", "question=a letter")
    (run,) = json.loads(flowledger("runs", "--json").out)
    first = flowledger("approve", run["run_id"], "--yes")
    assert (first.code, "waiting at second" in first.err) == (4, True)
    assert flowledger("resume", run["run_id"]).code == 4
    assert flowledger("approve", run["run_id"], "--yes").code == 0


def test_steps_inside_a_step_are_drawn_under_it_with_their_questions(flowledger):
    flowledger("run", "sends-each", "question=a letter")
    (run,) = json.loads(flowledger("runs", "--json").out)
    lines = flowledger("show", run["run_id"]).out.splitlines()
    depths = [len(row) - len(row.lstrip(" │├└─")) for row in lines[:4]]
    assert depths == sorted(set(depths)), lines
    assert "open  May this be sent?" in lines[3]


def test_a_waiting_run_is_cancelled_and_can_be_gone_on_with(flowledger, waiting):
    assert flowledger("cancel", waiting).code == 0
    late = flowledger("approve", waiting, "--yes")
    assert (late.code, "it is cancelled" in late.err) == (2, True)
    assert flowledger("resume", waiting).code == 4
    assert flowledger("approve", waiting, "--yes").code == 0


def ticket(**fields):
    node = CallTool(tool=open_ticket, args={"question": "question"}, into="ticket", approval="Open it?", **fields)
    return line(("note", noting()), ("ticket", node), output=["ticket"])


async def test_another_version_is_refused_by_name_and_the_answer_is_kept(tmp_path):
    database = f"sqlite:///{tmp_path}/runs.db"
    async with app_for(ticket(), database=database) as app:
        run_id = (await app.run("line", {"question": "q"})).run_id
    async with app_for(ticket(call_seconds=5), database=database) as app:
        await app.answer(run_id)
        with pytest.raises(VersionChanged, match=r"the node 'ticket' changed \(call_seconds\)"):
            await app.resume(run_id)
        assert [asked.status for asked in await app.ledger.questions(run_id)] == ["answered"]
        assert (await app.resume(run_id, accept_version=True)).status is RunStatus.SUCCEEDED
        assert [step.node_name for step in await app.ledger.steps(run_id)] == ["note", "ticket", "ticket"]


def another(question: str, *, idempotency_key: str) -> str:
    """Open another kind of ticket."""
    return "another"


@pytest.mark.parametrize("is_answered", [True, False])
async def test_an_answer_to_what_the_action_was_does_not_count_for_what_it_is_now(tmp_path, is_answered):
    database = f"sqlite:///{tmp_path}/runs.db"
    async with app_for(ticket(), database=database) as app:
        run_id = (await app.run("line", {"question": "q"})).run_id
        if is_answered:
            await app.answer(run_id)
    node = CallTool(tool=another, args={"question": "question"}, into="ticket", approval="Open it?")
    changed = line(("note", noting()), ("ticket", node), output=["ticket"])
    async with app_for(changed, database=database) as app:
        assert (await app.resume(run_id, accept_version=True)).status is RunStatus.WAITING
        (asked,) = await app.questions(run_id)
        assert (await app.ledger.value(asked.shown_payload))["tool"] == "another"
        statuses = {one.status for one in await app.ledger.questions(run_id)}
        assert statuses == {"open", "answered" if is_answered else "withdrawn"}
        await app.answer(run_id)
        assert (await app.resume(run_id)).output == {"ticket": "another"}
