"""Workers that are killed, frozen and cut off while servers restart lose nothing and do nothing twice."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.children import ran

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "worker_chaos.py"
SMALL = "--runs 40 --workers 3 --kills 1 --freezes 1 --restarts 1 --rest 0.6 --lease 2 --hosts --json"
KINDS = ("SQLite", "NATS + PostgreSQL")


@pytest.fixture(scope="module")
def waged() -> dict[str, dict[str, Any]]:
    """Wage both suites side by side, each in a process from which its workers are forked."""
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda kind: ran(BENCHMARK, *SMALL.split(), "--on", kind, timeout=300), KINDS))
    assert all(one.stdout for one in done), [one.stderr for one in done]
    said = [json.loads(one.stdout) for one in done]
    return {part: {kind: what for one in said for kind, what in one[part].items()} for part in ("reports", "skipped")}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost_or_done_twice_and_who_comes_back_writes_nothing(waged, kind):
    if kind in waged["skipped"]:
        pytest.skip(waged["skipped"][kind])
    report = waged["reports"][kind]
    assert report["findings"] == []
    assert set(report["zeros"].values()) == {0}
    assert (report["runs"], report["kills"], report["freezes"] + report["cuts"]) == (40, 1, 1)
    assert all(seconds <= 10 for seconds in report["recovered_s"])
    assert report["let_go"] == report["in_progress"]
    assert sum(report["restarts"].values()) == (1 if kind == "SQLite" else 2)


def test_a_host_that_is_cut_off_and_comes_back_writes_nothing(waged):
    report = waged["reports"].get("NATS + PostgreSQL") or pytest.skip(str(waged["skipped"]))
    if not report["cuts"]:
        pytest.skip("network namespaces are not allowed here, so a worker was frozen in place of being cut off")
    assert report["zeros"]["written after a thaw"] == 0
