"""How well calls go is shown on the command line."""

import json
from xml.etree import ElementTree


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


def test_health_is_drawn_in_one_page_that_loads_nothing(flowledger, tmp_path):
    for _ in range(3):
        flowledger("run", "say", "question=q")
    flowledger("run", "tool-raises", "question=q")
    drawn = flowledger("health", "--by", "node,operation", "--html", "health.html")
    page = (tmp_path / "health.html").read_text(encoding="utf-8")
    assert drawn.code == 0
    assert page.count("<svg") == page.count("</svg>") == 6
    assert all(word in page for word in ("node / execute_tool", "p95", "4 calls of runs", "1 failed, 3 succeeded"))
    assert not any(word in page for word in ("<script", "http://", "https://", "<link", "<img"))
    for svg in page.split("<svg")[1:]:
        ElementTree.fromstring("<svg" + svg.partition("</svg>")[0] + "</svg>")
    points = json.loads(flowledger("health", "--json").out)["points"]
    assert (len(points), sum(one["calls"] for one in points), points[-1]["failed"]) == (24, 4, 1)
    refused = flowledger("health", "--html", "nowhere/health.html")
    assert (refused.code, "--html nowhere/health.html cannot be written" in refused.err) == (2, True)
