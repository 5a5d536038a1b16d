"""Workers that are killed, frozen and cut off while servers restart lose nothing and do nothing twice."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "worker_chaos.py"
SMALL = "--runs 40 --workers 3 --kills 1 --freezes 1 --restarts 1 --rest 0.6 --lease 2 --hosts --json"
KINDS = ("SQLite", "NATS + PostgreSQL")


@pytest.fixture(scope="module")
def ran() -> dict[str, Any]:
    """Wage both suites in one process, whose workers are forked from it."""
    kinds = [part for kind in KINDS for part in ("--on", kind)]
    command = [sys.executable, str(BENCHMARK), *SMALL.split(), *kinds]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost_or_done_twice_and_who_comes_back_writes_nothing(ran, kind):
    if kind in ran["skipped"]:
        pytest.skip(ran["skipped"][kind])
    report = ran["reports"][kind]
    assert report["findings"] == []
    assert set(report["zeros"].values()) == {0}
    assert (report["runs"], report["kills"], report["freezes"] + report["cuts"]) == (40, 1, 1)
    assert all(seconds <= 10 for seconds in report["recovered_s"])
    assert report["let_go"] == report["in_progress"]
    assert sum(report["restarts"].values()) == (1 if kind == "SQLite" else 2)


def test_a_host_that_is_cut_off_and_comes_back_writes_nothing(ran):
    report = ran["reports"].get("NATS + PostgreSQL") or pytest.skip(str(ran["skipped"]))
    if not report["cuts"]:
        pytest.skip("network namespaces are not allowed here, so a worker was frozen in place of being cut off")
    assert report["zeros"]["written after a thaw"] == 0
