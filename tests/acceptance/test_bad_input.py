"""Bad input of any kind gets one sentence and an exit code, no traceback; what ran is recorded with its cause."""

import json

import pytest

USAGE, FAILED, INFRASTRUCTURE = 2, 1, 3


def one_sentence(ran) -> str:
    assert "Traceback" not in ran.err + ran.out
    assert ran.err.strip()
    return ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "aks", "question=q"], "there is no workflow 'aks'; the workflows of this app are:"),
        (["run", "say"], "question: field required"),
        (["run", "say", "qestion=q"], "qestion: extra inputs are not permitted"),
        (["run", "say", "question"], "'question' is not FIELD=VALUE; the fields of 'say' are question"),
        (["run", "say", "question=q", "count=many"], "the field 'count' takes JSON, and 'many' is not JSON"),
        (["run", "say", "question=q", 'count="many"'], "count: input should be a valid integer"),
        (["run", "say", "--input", "missing.json"], "--input missing.json: the file cannot be read"),
        (["run", "say", "--input", "list.json"], "--input list.json: one JSON object is expected, not a list"),
        (["run", "say", "--input", "broken.json"], "--input broken.json: it is not JSON in UTF-8"),
        (["run", "say", "--input", "binary.json"], "--input binary.json: it is not JSON in UTF-8"),
        (["run", "keyless", "question=q"], "has no key: set OPENAI_API_KEY"),
        (["run", "misspelt", "question=q"], "write provider:model, as in openai:gpt-5-mini"),
        (["run", "roleless", "question=q"], "no model plays the role 'nobody'"),
        (["run", "unpriced", "question=q"], "and the budget of 'unpriced' is in USD"),
        (["run", "say", "question=q", "--app", "nothing"], "--app 'nothing': write module:name"),
        (["run", "say", "question=q", "--app", "no.such:app"], "the module 'no' is not found"),
        (["run", "say", "question=q", "--app", "tests.flows:ask"], "a function stands there, and an App is expected"),
        (["run", "say", "question=q", "--app", "broken_app:app"], "broken_app.py:1: ZeroDivisionError"),
        (["run", "say", "question=q", "--app", "invalid_app:app"], "'boom' has no way on"),
        (["run", "say", "question=q", "--database", "mysql://u:hidden@h/d"], "begins with 'mysql'"),
        (["run", "say", "--nonsense"], "No such option"),
        (["nonsense"], "No such command"),
        (["runs", "--since", "yesterday"], "--since 'yesterday' is neither a span like 12h or 7d nor a date"),
        (["runs", "--status", "odd"], "--status 'odd': a run is one of queued, running, succeeded"),
        (["runs", "--limit", "0"], "--limit"),
        (["show", "ffff"], "no run has the id 'ffff'"),
        (["cost", "--by", "colour"], "--by colour: the dimensions are workflow"),
        (["index", "."], "this app has no index"),
    ],
)
def test_wrong_usage_is_named_and_exits_with_2(flowledger, tmp_path, monkeypatch, arguments, said):
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "broken_app.py").write_text("1 / 0\n")
    (tmp_path / "invalid_app.py").write_text(
        "from engine import *\nfrom tests.flows import Ask, noting\n"
        "Workflow(name='x', state=Ask, nodes={'boom': noting()}, edges=[Chain(START, 'boom')])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    ran = flowledger(*arguments)
    assert said in one_sentence(ran)
    assert "hidden" not in ran.err
    assert ran.code == USAGE


@pytest.mark.parametrize(
    ("workflow", "status", "said"),
    [
        ("tool-raises", "failed", "the tool 'raises' raised RuntimeError: the disk is gone"),
        ("tool-returns", "failed", "the tool 'returns_bytes' returned what JSON cannot hold (object)"),
        ("nonsense", "failed", "was answered 2 times and turned down each time: it is not a JSON object: 'blah blah'"),
        ("poor", "budget_exceeded", "the budget has 5 tokens left"),
    ],
)
def test_a_run_that_fails_exits_with_1_and_is_recorded_with_its_cause(flowledger, workflow, status, said):
    ran = flowledger("run", workflow, "question=a question that is long enough", "--no-stream")
    assert said in one_sentence(ran)
    assert ran.code == FAILED
    (run,) = json.loads(flowledger("runs", "--json").out)
    assert run["status"] == status
    assert said in run["error_message"]


def test_a_server_that_is_not_there_exits_with_3(flowledger):
    ran = flowledger("run", "unreachable", "question=q", "--no-stream")
    assert "openai:gpt-5-mini" in one_sentence(ran)
    assert ran.code == INFRASTRUCTURE


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:////no/such/folder/runs.db", "create its folder"),
        ("postgresql://u:hidden@127.0.0.1:1/db", "start the server, or mend host and port"),
    ],
)
def test_a_database_that_is_not_there_exits_with_3(flowledger, url, said):
    ran = flowledger("run", "say", "question=q", "--database", url)
    assert said in one_sentence(ran)
    assert "hidden" not in ran.err
    assert ran.code == INFRASTRUCTURE


def test_a_failed_run_is_one_json_object_too(flowledger):
    ran = flowledger("run", "tool-raises", "question=q", "--json")
    assert ran.code == FAILED
    result = json.loads(ran.out)
    assert result["error"]["type"] == "ToolFailed"
    assert result["error"]["node"] == "node"


def test_nothing_else_is_harmed_by_a_run_that_fails(flowledger):
    flowledger("run", "tool-raises", "question=q")
    assert flowledger("run", "say", "question=q", "--json").code == 0
    assert len(json.loads(flowledger("runs", "--json").out)) == 2
