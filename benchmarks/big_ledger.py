"""Fills a ledger with as many runs as are asked for, by a statement a table: SQLite and PostgreSQL make the rows alone.

A run has ten steps with a call each; who ran it, of what version, how it ended, what guardrails and people said of it,
and what its calls used vary by its number, so that every ledger of a size is the same.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from engine.eval_records import ScoreRecord
from engine.monitor_records import SampleRecord
from engine.payloads import digest
from engine.queue_records import QueueEntryRecord
from engine.records import (
    CallRecord,
    GuardTimeRecord,
    OutcomeRecord,
    RunRecord,
    StepRecord,
    VerdictRecord,
    VersionRecord,
)
from engine.store.database import Database

CALLS_OF_A_RUN = 10
BEGIN = datetime(2026, 9, 1, tzinfo=UTC)
MODELS = (
    ("openai", "gpt-5-mini"),
    ("openai", "gpt-4o"),
    ("anthropic", "claude-sonnet-4-5"),
    ("google", "gemini-2.5-pro"),
)
_STATUSES = ("succeeded",) * 16 + ("failed", "failed", "blocked", "budget_exceeded")
_PRIMES = (2654435761, 2246822519, 3266489917, 668265263, 374761393, 3242174893)  # each makes numbers of its own


def run_id_of(number: int) -> str:
    """Give the id of a run by its number, as the database makes it."""
    first, second = ((number + 1) * prime % 2**32 // 65536 % 65536 for prime in _PRIMES[:2])
    return f"{number:024x}{first:04x}{second:04x}"


def end_of(runs: int) -> datetime:
    """Say when the last of so many runs began."""
    return BEGIN + timedelta(minutes=runs)


class _Words:
    """SQL that both databases take, with what each has a name of its own for."""

    def __init__(self, *, is_sqlite: bool) -> None:
        self.is_sqlite = is_sqlite

    def series(self, name: str, many: int) -> str:
        if self.is_sqlite:
            return (
                f"(WITH RECURSIVE up({name}) AS"
                f" (SELECT 0 UNION ALL SELECT {name} + 1 FROM up WHERE {name} + 1 < {many})"
                f" SELECT {name} FROM up) AS of_{name}"
            )
        return f"(SELECT {name} FROM generate_series(CAST(0 AS bigint), {many - 1}) AS made({name})) AS of_{name}"

    def hex(self, number: str, digits: int) -> str:
        return f"printf('%0{digits}x', {number})" if self.is_sqlite else f"lpad(to_hex({number}), {digits}, '0')"

    def address(self, number: str) -> str:
        """Give what could be the address of a payload."""
        return f"'f' || {self.hex(number, 63)}"

    def bytes(self, number: str) -> str:
        """Give 200 bytes of JSON that are made of a number."""
        whole = f"'\"' || {self.hex(number, 198)} || '\"'"
        return f"CAST({whole} AS BLOB)" if self.is_sqlite else f"convert_to({whole}, 'UTF8')"

    def time(self, seconds: str) -> str:
        whole = f"{int(BEGIN.timestamp())} + {seconds}"
        return f"strftime('%Y-%m-%d %H:%M:%f000', {whole}, 'unixepoch')" if self.is_sqlite else f"to_timestamp({whole})"

    def one_of(self, choices: tuple[str, ...], number: str) -> str:
        whens = " ".join(f"WHEN {place} THEN '{choice}'" for place, choice in enumerate(choices))
        return f"CASE {chance(number, len(choices))} {whens} END"


def chance(number: str, below: int, salt: int = 0) -> str:
    """Give SQL for a whole number below a bound that seems to come by chance, for each number of a row."""
    return f"((({number} + 1) * {_PRIMES[salt]} % 4294967296) / 65536 % {below})"


def fill(database: Database, runs: int) -> None:
    """Write so many runs."""
    words = _Words(is_sqlite=database.is_sqlite)
    request = (
        '{"max_tokens": 400, "messages": [{"content": "How long do refunds take?", "role": "human"}], "model": "large"}'
    )
    run_id = f"{words.hex('n', 24)} || {words.hex(chance('n', 65536), 4)} || {words.hex(chance('n', 65536, 1), 4)}"
    of_runs = words.series("n", runs)
    with database.engine.begin() as connection:
        _insert(connection, "runs", RunRecord, of_runs, _runs(words, run_id, runs))
        each = f"{of_runs}, {words.series('place', CALLS_OF_A_RUN)}"
        _insert(connection, "steps", StepRecord, each, _steps(words, run_id))
        _insert(connection, "calls", CallRecord, each, _calls(words, run_id) | {"request_payload": f"'{request}'"})
        _insert(connection, "guard_times", GuardTimeRecord, of_runs, _guard_times(run_id))
        _insert(connection, "versions", VersionRecord, words.series("n", 3), _versions(words))
        connection.execute(text(_PAYLOADS.format(address=words.address("n"), text=words.bytes("n"), rows=of_runs)))
        some = {
            "outcomes": (OutcomeRecord, 3, _outcomes(words, run_id)),
            "verdicts": (VerdictRecord, 2, _verdicts(words, run_id)),
            "samples": (SampleRecord, 10, _samples(words, run_id)),
            "scores": (ScoreRecord, 10, _scores(words, run_id)),
            "queue_entries": (QueueEntryRecord, 50, _queue(words, run_id)),
        }
        for table, (record, every, columns) in some.items():
            _insert(connection, table, record, f"{of_runs} WHERE n % {every} = 0", columns)
    _settle(database)


_FILLED = ("runs", "steps", "calls", "guard_times", "outcomes", "verdicts", "samples", "scores", "payloads")
_PAYLOADS = "INSERT INTO payloads (sha256, encoding, size, content) SELECT {address}, 'plain', 200, {text} FROM {rows}"


def _settle(database: Database) -> None:
    """Let the database look at what it has, as PostgreSQL does by itself and SQLite does not."""
    if not database.is_sqlite:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"VACUUM (ANALYZE) {', '.join(_FILLED)}"))


def _insert(connection: Connection, table: str, record: type, rows: str, columns: Mapping[str, str]) -> None:
    """Insert what the rows come to; a column that is not told of has its default."""
    usual = {
        field.name: _literal([] if field.default is MISSING else field.default)
        for field in fields(record)
        if field.name not in columns
    }
    every = {**usual, **columns}
    # the colon of JSON and of times is no parameter
    values = ", ".join(every.values()).replace(":", "\\:")
    connection.execute(text(f"INSERT INTO {table} ({', '.join(every)}) SELECT {values} FROM {rows}"))


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return "'[]'"
    return str(value).upper() if isinstance(value, bool) else f"'{value}'" if isinstance(value, str) else str(value)


def _runs(words: _Words, run_id: str, many: int) -> dict[str, str]:
    return {
        "run_id": run_id,
        "workflow": f"'workflow-' || {chance('n', 5)}",
        "version": f"'version-' || (n * 3 / {many})",
        "status": words.one_of(_STATUSES, "n"),
        "started_at": words.time("n * 60"),
        "ended_at": words.time("n * 60 + 5"),
        "duration_ns": f"1000000000 + {chance('n', 60000, 1)} * CAST(100000 AS bigint)",
        "input_payload": """'{"question": "How long do refunds take for order ' || n || '?"}'""",
        "steps": str(CALLS_OF_A_RUN),
        "calls": str(CALLS_OF_A_RUN),
        "tenant": f"'tenant-' || {chance('n', 20, 2)}",
        "user_id": f"'user-' || {chance('n', 2000, 3)}",
    }


def _steps(words: _Words, run_id: str) -> dict[str, str]:
    at = "(n * 10 + place)"
    return {
        "run_id": run_id,
        "step_id": words.hex("place + 1", 16),
        "seq": "place",
        "node_name": "'node-' || place",
        "node_kind": "'engine.nodes.generate:Generate'",
        "visit": "1",
        "started_at": words.time("n * 60 + place"),
        "status": "'ok'",
        "duration_ns": "400000000",
        "cached": f"{chance(at, 20)} = 0",
        "input_payload": f"CASE place WHEN 0 THEN {words.address('n')} END",
        "saved_nano_usd": f"CASE WHEN {chance(at, 20)} < 3 THEN 1000000 END",
        "routed": f"CASE {chance(at, 30, 1)} WHEN 0 THEN 'small' WHEN 1 THEN 'small > large' END",
        "fallback_to": f"CASE WHEN {chance(at, 50, 2)} = 0 THEN 'node-9' END",
    }


def _calls(words: _Words, run_id: str) -> dict[str, str]:
    at = "(n * 10 + place)"
    which, failed = chance(at, 4, 1), f"{chance(at, 12, 2)} = 0"

    def unless_failed(value: str) -> str:
        return f"CASE WHEN NOT ({failed}) THEN {value} END"

    def of_model(place: int) -> str:
        return f"CASE {which} " + " ".join(f"WHEN {at} THEN '{one[place]}'" for at, one in enumerate(MODELS)) + " END"

    return {
        "run_id": run_id,
        "call_id": f"{words.hex(chance(at, 65536), 8)} || {words.hex('place', 8)}",
        "step_id": words.hex("place + 1", 16),
        "node_name": "'node-' || place",
        "ordinal": "1",
        "attempt": "1",
        "operation_name": f"CASE WHEN {chance(at, 5, 3)} = 0 THEN 'execute_tool' ELSE 'chat' END",
        "tool_name": f"CASE WHEN {chance(at, 5, 3)} = 0 THEN 'look-up' END",
        "target": "'large'",
        "started_at": words.time("n * 60 + place"),
        "request_hash": f"'{digest('h')}'",
        "status": f"CASE WHEN {failed} THEN 'failed' ELSE 'ok' END",
        "duration_ns": f"200000000 + {chance(at, 60000, 4)} * CAST(100000 AS bigint)",
        "provider_name": of_model(0),
        "request_model": of_model(1),
        "usage_input_tokens": unless_failed(f"100 + {chance(at, 8000, 5)}"),
        "usage_output_tokens": unless_failed(f"1 + {chance(at, 800, 4)}"),
        "cost_nano_usd": unless_failed(f"100000 + {chance(at, 60000, 3)} * 1000"),
        "charged_nano_usd": "10000000",
        "purpose": f"CASE {chance(at, 30, 4)} WHEN 0 THEN 'reask' WHEN 1 THEN 'escalation' ELSE 'answer' END",
    }


def _outcomes(words: _Words, run_id: str) -> dict[str, str]:
    named = {"run_id": run_id, "name": "'solved'", "source": "'person'", "created_at": words.time("n * 60 + 600")}
    return named | {"success": f"{chance('n', 3, 4)} > 0", "value": "1.5"}


def _verdicts(words: _Words, run_id: str) -> dict[str, str]:
    return {
        "run_id": run_id,
        "step_id": words.hex("1", 16),
        "node_name": "'node-0'",
        "guardrail": f"'guard-' || {chance('n', 4, 4)}",
        "stage": words.one_of(("input", "output"), "n"),
        "action": words.one_of(("mask", "warn", "block"), "n"),
        "reason": "'it says so'",
        "created_at": words.time("n * 60"),
    }


def _guard_times(run_id: str) -> dict[str, str]:
    took = f"(1 + {chance('n', 99, 1)}) * 10000"
    return {"run_id": run_id, "guardrail": f"'guard-' || {chance('n', 4)}", "duration_ns": took, "checks": "2"}


def _versions(words: _Words) -> dict[str, str]:
    named = {"version": "'version-' || n", "workflow": f"'workflow-' || {chance('n', 5)}"}
    return named | {"definition": "'{}'", "created_at": words.time("n * 60")}


def _samples(words: _Words, run_id: str) -> dict[str, str]:
    named = {"run_id": run_id, "workflow": f"'workflow-' || {chance('n', 5)}", "state": "'scored'", "rate": "0.1"}
    return named | {"began_at": words.time("n * 60"), "stratum": "'rest'", "scored_at": words.time("n * 60 + 60")}


def _scores(words: _Words, run_id: str) -> dict[str, str]:
    return {
        "run_id": run_id,
        "evaluator": "'grounded'",
        "evaluator_version": "'v1'",
        "deterministic": "TRUE",
        "created_at": words.time("n * 60 + 60"),
        "score": f"{chance('n', 100, 5)} / 100.0",
    }


def _queue(words: _Words, run_id: str) -> dict[str, str]:
    named = {"run_id": run_id, "queue": "'default'", "lane": f"'tenant-' || {chance('n', 20, 2)}", "priority": "0"}
    return named | {
        "version": "'v1'",
        "enqueued_at": words.time("n * 60"),
        "available_at": words.time("n * 60"),
        "workflow": f"'workflow-' || {chance('n', 5)}",
    }
