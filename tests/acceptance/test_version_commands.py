"""Versions from the command line: listed, compared, released and rolled back; and two runs side by side."""

import json


def ran(flowledger, *settings: str) -> str:
    return json.loads(flowledger("run", "say", "question=q", "--json", *settings).out)["run_id"]


def test_versions_are_listed_and_released(flowledger):
    ran(flowledger)
    (row,) = json.loads(flowledger("versions", "say", "--json").out)
    assert (row["runs"], row["succeeded"], row["marks"]) == (1, 1, ["this code"])
    found = flowledger("release", "set", "say", row["version"][:8], "--reason", "it is good", "--by", "ann")
    assert (found.code, f"say is say@{row['version'][:12]}; 0 queued runs follow" in found.out) == (0, True)
    assert "release say" in flowledger("versions").out
    (release,) = json.loads(flowledger("release", "history", "say", "--json").out)
    assert (release["set_by"], release["reason"]) == ("ann", "it is good")
    assert "what the code says" in flowledger("release", "rollback", "say").out
    assert "rolled back" in flowledger("release", "history").out


def test_two_versions_are_compared_with_the_lines_of_their_prompts(flowledger):
    before = ran(flowledger)
    replayed = json.loads(flowledger("replay", before, "--set", "prompt.node=Be brief.\n{question}", "--json").out)
    versions = [
        json.loads(flowledger("show", run, "--json").out)["run"]["version"] for run in (before, replayed["run_id"])
    ]
    found = flowledger("diff", *versions)
    assert (found.code, "the node 'node' changed (prompt)" in found.out, "+Be brief." in found.out) == (0, True, True)
    assert flowledger("diff", versions[0], versions[0]).out.strip() == "they are the same"


def test_two_runs_are_compared_step_by_step(flowledger):
    before = ran(flowledger)
    replayed = json.loads(flowledger("replay", before, "--set", "prompt.node=Brief: {question}", "--json").out)
    found = flowledger("diff", before, replayed["run_id"])
    assert "first difference: node: asks messages[0].content was 'q' and is 'Brief: q'" in found.out
    plain = json.loads(flowledger("diff", before, before, "--json").out)
    assert (plain["first_difference"], [step["step"] for step in plain["steps"]]) == (None, ["node"])


def test_what_is_neither_a_run_nor_a_version_is_said_so(flowledger):
    found = flowledger("diff", "ffff", "eeee")
    assert found.code == 2
    assert "two runs or two versions are compared" in found.err


def test_the_state_at_a_step_is_shown_and_walked_through(flowledger):
    run = ran(flowledger)
    at = json.loads(flowledger("show", run, "--at", "node", "--json").out)
    assert (at["before"]["answer"], at["after"]["answer"] != "", at["wrote"].keys()) == ("", True, {"answer"})
    assert "answer:" in flowledger("show", run, "--walk").out
    missing = flowledger("show", run, "--at", "nowhere")
    assert (missing.code, "the steps of the run" in missing.err) == (2, True)


def test_tapes_are_exported_and_checked(flowledger, tmp_path):
    run = ran(flowledger)
    assert flowledger("tape", "export", run, "--to", "tapes/say.tape.json", "--redact", "guardrails:Pii").code == 0
    assert "as it was" in flowledger("tape", "check", "tapes").out
    found = flowledger("tape", "check", str(tmp_path / "nothing"))
    assert (found.code, "tape" in found.err) == (2, True)
    assert json.loads(flowledger("tape", "export", run).out)["workflow"] == "say"


def test_many_failed_runs_are_estimated_and_replayed(flowledger):
    for _ in range(2):
        flowledger("run", "nonsense", "question=q")
    select = ("replay", "--workflow", "nonsense", "--status", "failed")
    assert "2 runs; no model is asked anew" in flowledger(*select, "--recorded", "--estimate").out
    table = json.loads(flowledger(*select, "--recorded", "--json").out)
    assert (table["runs"], table["counts"]["same"], table["left"]) == (2, 2, 0)
    refused = flowledger(*select, "--set", "prompt.node=Better: {question}")
    assert (refused.code, "say --yes to go on" in refused.err) == (2, True)
    live = flowledger(*select, "--set", "prompt.node=Better: {question}", "--yes")
    assert "spent $" in live.out
    assert flowledger("replay").code == flowledger("replay", "--batch", "none").code == 2
    for wrong, said in (("--max-cost", "US dollars"), ("--set", "write model.ROLE=SPEC"), ("--where", "COLUMN=VALUE")):
        refused = flowledger(*select, "--set", "prompt.node=Better: {question}", "--yes", wrong, "much")
        assert (refused.code, said in refused.err) == (2, True)
    unknown = flowledger(*select, "--set", "model.good=openai:gpt-5-mini", "--yes")
    assert (unknown.code, "OPENAI_API_KEY" in unknown.err or "names the role" in unknown.err) == (2, True)


def test_a_name_of_ones_own_is_released_run_and_queued(flowledger):
    ran(flowledger)
    (row,) = json.loads(flowledger("versions", "say", "--json").out)
    assert flowledger("release", "set", "canary", row["version"][:8]).code == 0
    assert json.loads(flowledger("run", "canary", "question=q", "--json").out)["workflow"] == "say"
    assert flowledger("enqueue", "canary", "question=q").code == 0
    assert flowledger("run", "sparrow", "question=q").code == 2
