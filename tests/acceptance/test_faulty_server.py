"""A load against a server that fails by a script, over real HTTP: every run ends with an answer or with its cause."""

import pytest

from benchmarks.faults import PARTS, RESET_AFTER, load


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")


@pytest.mark.usefixtures("key")
async def test_every_run_is_answered_or_failed_with_its_cause_and_the_levers_say_what_they_did(tmp_path):
    found = await load(160, 20, f"sqlite:///{tmp_path}/runs.db")
    ends = {part: found[part]["runs"] for part in PARTS}
    assert {part: sum(runs.values()) for part, runs in ends.items()} == {
        part: round(160 * share) for part, share in PARTS.items()
    }
    assert ends["faults"] == {"answered": 96}
    assert ends["down"] == {"answered": 24}
    assert set(ends["both down"]) <= {"failed: Overloaded", "failed: BreakerOpen"}
    assert set(ends["well"]) <= {"answered", "failed: BreakerOpen"}
    levers = found["faults"]["answered by"]
    assert {"the first attempt", "a retry"} <= set(levers)
    others = {"the other model, at once", "the other model, after retries"}  # the latter if the breaker was closed
    assert {"the other model, at once"} <= set(found["down"]["answered by"]) <= others
    assert all(found[part]["overspent"] == 0 for part in PARTS)


@pytest.mark.usefixtures("key")
async def test_an_open_target_gets_probes_only_and_recovery_follows_one_of_them(tmp_path):
    found = await load(160, 20, f"sqlite:///{tmp_path}/runs.db")
    alone = found["while left alone"]
    assert alone["requests"] <= alone["seconds"] / RESET_AFTER + 1
    last = {change["target"]: change["state"] for change in found["breaker"]}
    assert last["openai:first-model"] == "closed"
    assert found["well"]["requests"]["first-model ok"] >= 1
