"""`flowledger db prune`: it says what it will delete, asks, and keeps what it promises to keep."""

import io
import json
import sqlite3
import sys

import pytest
from sqlalchemy import text

from engine.store.database import Database
from tests.databases import SHARED, ready


class Terminal(io.StringIO):
    """Somebody who types, at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def failed(flowledger) -> str:
    """Give the id of a run that failed just now."""
    flowledger("run", "tool-raises", f"question={'a long question ' * 100}")
    (run,) = json.loads(flowledger("runs", "--json").out)
    return run["run_id"]


def rows(tmp_path, table: str) -> int:
    ledger = sqlite3.connect(tmp_path / "runs.db")
    try:
        return ledger.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    finally:
        ledger.close()


def test_what_will_be_deleted_is_shown_and_nothing_is(flowledger, failed, tmp_path):
    checkpoints = rows(tmp_path, "checkpoints")
    ran = flowledger("db", "prune", "--older-than", "0d", "--dry-run")
    assert ran.code == 0
    assert ran.out.splitlines()[0].startswith("Of runs that ended, and workers last heard of, before ")
    assert [line.split()[0] for line in ran.out.splitlines()[1:]] == [
        "kind",
        "checkpoints",
        "workers",
        "cache_entries",
        "payloads",
    ]
    assert rows(tmp_path, "checkpoints") == checkpoints > 0


def test_checkpoints_are_deleted_and_the_ledger_is_kept(flowledger, failed, tmp_path):
    planned = json.loads(flowledger("db", "prune", "--older-than", "0d", "--dry-run", "--json").out)
    ran = json.loads(flowledger("db", "prune", "--older-than", "0d", "--yes", "--json").out)
    assert (planned["deleted"], ran["deleted"]) == (False, True)
    assert ran["checkpoints"] == planned["checkpoints"]
    assert ran["checkpoints"]["rows"] > 0
    assert ran["checkpoints"]["bytes"] > 0
    assert ran["waiting_payloads"] == 0
    assert rows(tmp_path, "checkpoints") == 0
    shown = flowledger("show", failed, "--payloads")
    assert "a long question" in shown.out
    assert flowledger("resume", failed).code == 1, "the tool raises again"


def test_whole_runs_are_deleted_when_asked_for(flowledger, failed, tmp_path):
    ran = flowledger("db", "prune", "--older-than", "0d", "--runs", "--yes")
    assert ran.out.splitlines()[-1].startswith("deleted: ")
    assert "1 runs" in ran.out
    assert [rows(tmp_path, table) for table in ("runs", "steps", "calls", "payloads")] == [0, 0, 0, 0]
    again = flowledger("db", "prune", "--older-than", "0d", "--runs")
    assert (again.code, again.out) == (0, "there is nothing to delete\n")


@SHARED
def test_workers_that_are_gone_are_shown_and_deleted(flowledger, database_url):
    at = ("--database", ready(database_url))
    assert flowledger("run", "say", "question=why", *at).code == 0
    database = Database.open(database_url)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE workers SET beat_at = '2020-01-01 00:00:00.000000'"))
    database.close()
    shown = flowledger("db", "prune", "--older-than", "30d", "--dry-run", *at).out.splitlines()
    assert [line.split() for line in shown if line.startswith("workers")] == [["workers", "1"]]
    deleted = json.loads(flowledger("db", "prune", "--older-than", "30d", "--yes", "--json", *at).out)
    assert deleted["workers"] == {"rows": 1, "bytes": None}
    assert flowledger("db", "prune", "--older-than", "30d", *at).out == "there is nothing to delete\n"
    assert len(json.loads(flowledger("runs", "--json", *at).out)) == 1


def test_what_is_recent_stays(flowledger, failed, tmp_path):
    before = rows(tmp_path, "checkpoints")
    assert flowledger("db", "prune", "--older-than", "30d", "--runs", "--yes").code == 0
    assert (rows(tmp_path, "runs"), rows(tmp_path, "checkpoints")) == (1, before)


def test_without_a_terminal_somebody_must_say_yes(flowledger, failed, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    ran = flowledger("db", "prune", "--older-than", "0d", "--runs")
    assert ran.code == 2
    assert ran.err == (
        "flowledger: nobody is here who could confirm this: add --yes to delete it, or --dry-run to look only\n"
    )
    assert rows(tmp_path, "runs") == 1


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, 0), ("n\n", 1, 1)])
def test_at_a_terminal_it_asks(flowledger, failed, tmp_path, monkeypatch, answer, code, left):
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    ran = flowledger("db", "prune", "--older-than", "0d", "--runs")
    assert (ran.code, rows(tmp_path, "runs")) == (code, left)
    assert "Delete this?" in ran.err


@pytest.mark.parametrize("moment", ["soon", "", "99999999w", "999999w"])
def test_a_time_that_is_none_is_refused(flowledger, moment):
    ran = flowledger("db", "prune", "--older-than", moment, "--yes")
    assert ran.code == 2
    assert ran.err == (
        f"flowledger: --older-than {moment!r} is neither a span like 12h or 30d nor a date like 2026-01-31\n"
    )


def test_the_room_is_given_back(flowledger, failed):
    for _ in range(5):
        flowledger("run", "tool-raises", f"question={'another question ' * 100}")
    ran = json.loads(
        flowledger("db", "prune", "--older-than", "2100-01-01", "--runs", "--yes", "--vacuum", "--json").out
    )
    assert 0 < ran["bytes_after"] <= ran["bytes_before"]
    told = flowledger("db", "prune", "--older-than", "30d", "--vacuum").out.splitlines()
    assert told[0] == "there is nothing to delete"
    assert told[1].startswith("the database took ")


def test_texts_of_old_runs_are_moved_into_a_folder_and_shown_as_before(flowledger, failed, tmp_path):
    before = flowledger("show", failed, "--json").out
    planned = json.loads(flowledger("db", "offload", "objects", "--older-than", "0d", "--dry-run", "--json").out)
    assert not planned["moved"]
    assert not (tmp_path / "objects").exists()
    asked = ("db", "offload", str(tmp_path / "objects"), "--older-than", "0d", "--larger-than", "0")
    refused = flowledger(*asked)
    assert (refused.code, "add --yes to move them" in refused.err) == (2, True)
    moved = json.loads(flowledger(*asked, "--yes", "--json").out)
    assert moved["moved"] and moved["payloads"] == len(list((tmp_path / "objects").iterdir())) > 0
    assert flowledger("show", failed, "--json").out == before


def test_a_folder_that_nobody_can_reach_is_one_sentence(flowledger, failed):
    ran = flowledger("db", "offload", "nowhere://b", "--older-than", "0d", "--larger-than", "0", "--yes")
    assert ran.code == 2
    assert ran.err.splitlines()[-1].startswith("flowledger: nowhere://b cannot be reached")
