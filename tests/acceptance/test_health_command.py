"""How well calls go is shown on the command line."""

import json


def test_health_shows_calls_runs_and_rates(flowledger):
    assert "no call has begun" in flowledger("health").out
    flowledger("run", "say", "question=q")
    flowledger("run", "tool-raises", "question=q")
    shown = flowledger("health", "--by", "node,operation").out
    assert all(word in shown for word in ("execute_tool", "100.0%", "runs: 1 failed, 1 succeeded", "per hour: "))
    plain = json.loads(flowledger("health", "--since", "1h", "--json").out)
    assert {row["operation"]: row["failed"] for row in plain["rows"]} == {"execute_tool": 1, "chat": 0}
    refused = flowledger("health", "--by", "colour")
    assert (refused.code, "calls are told apart by" in refused.err) == (2, True)
