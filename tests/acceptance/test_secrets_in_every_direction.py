"""Where an app redacts, a key is nowhere: in no model's ears, no row, checkpoint, event, error or line of the log."""

import asyncio
import json
import logging
import sqlite3
import zlib

import pytest
from typer.testing import CliRunner

from engine import App, CallTool, Compute, Generate, RunStatus
from engine.cli.main import cli
from engine.definition.policies import Cache
from engine.errors import ConfigurationError
from engine.testing import StillClock
from guardrails import Citations, Injection, Pii, Secrets
from tests.flows import Ask, line, scripted

KEY = "ghp_" + "k7Qm2Xw9Zr4Tt8Vv1Bb5Nn3Cc6Dd0F1P2eJJ"
ENCODED = KEY.encode()


def read_settings(question: str) -> str:
    """Read settings that hold a key."""
    return f"region=eu\ntoken: {KEY}"


def deploy(answer: str) -> str:
    """Fail, and say why with a key in it, after some five hundred characters."""
    logging.getLogger("deploying").warning("deploying with %s", KEY)
    try:
        raise ValueError(f"{'refused, ' * 54}the key {KEY} is not known")
    except ValueError:
        logging.getLogger("deploying").exception("it failed")
        raise


def stumble(answer: str) -> str:
    """Fail in code of the workflow's own."""
    raise RuntimeError(f"{answer} with {KEY}")


LOOK = CallTool(tool=read_settings, args={"question": "question"}, into="ticket", cache=Cache(ttl=60), effect="read")
FLOW = line(
    ("look", LOOK),
    ("draft", Generate(model="large", prompt="{question} {ticket}", into="answer", max_tokens=90, stream=True)),
    ("act", CallTool(tool=deploy, args={"answer": "answer"}, into="ticket", effect="once")),
    name="deploy",
    state=Ask,
)
STUMBLING = line(("stumble", Compute(function=stumble, into="answer")), name="stumble", state=Ask)


def everything_in(path) -> bytes:
    """Give what stands in a database, unpacked, and the bytes of its files."""
    found = [file.read_bytes() for file in path.parent.iterdir()]
    with sqlite3.connect(path) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        cells = [cell for table in tables for row in connection.execute(f"SELECT * FROM {table}") for cell in row]
    connection.close()
    for cell in cells:
        found.append(cell if isinstance(cell, bytes) else str(cell).encode())
        if isinstance(cell, bytes):
            try:
                found.append(zlib.decompress(cell))
            except zlib.error:
                continue
    return b"\n".join(found)


async def run_both(folder, caplog, *guards):
    heard, role = [], scripted(f"Use {KEY} for it.")
    caplog.set_level(logging.INFO)
    app = App(
        workflows=[FLOW, STUMBLING],
        models={"large": role},
        database=f"sqlite:///{folder / 'runs.db'}",
        clock=StillClock(),
        keep_checkpoints="all",
        redact=guards,
    )
    async with app:
        given = {"question": f"Deploy with {KEY}", "notes": [KEY]}
        results = [await app.run(name, given, listener=heard.append) for name in ("deploy", "stumble")]
        await app.enqueue("deploy", given)
    assert [result.status for result in results] == [RunStatus.FAILED, RunStatus.FAILED]
    asked = [message.content for messages in role.model.asked for message in messages]
    told = caplog.text + "".join(map(repr, (*heard, *results, *asked)))
    return everything_in(folder / "runs.db"), told


async def test_a_key_that_is_given_answered_raised_and_logged_is_nowhere(tmp_path, caplog):
    kept, told = await run_both(tmp_path, caplog, Secrets())
    assert ENCODED not in kept
    assert ENCODED[:12] not in kept
    assert KEY[:12] not in told
    assert b"[GITHUB_TOKEN]" in kept
    assert "[GITHUB_TOKEN]" in told


def exported_from(folder) -> bytes:
    """Give all that a database is exported as: spans, tables and tapes."""
    database, out = f"sqlite:///{folder / 'runs.db'}", folder / "out"
    out.mkdir()
    tables = ("runs", "steps", "calls", "verdicts", "payloads")
    commands = [["export", "otlp", "--content", "--to", str(out / "spans.jsonl")]]
    commands += [["export", "table", name, "--content", "--to", str(out / f"{name}.csv")] for name in tables]
    for command in commands:
        ended = CliRunner().invoke(cli, [*command, "--database", database])
        assert ended.exit_code == 0, ended.output
    return b"".join([*(file.read_bytes() for file in out.iterdir()), asyncio.run(tapes_of(database))])


async def tapes_of(database: str) -> bytes:
    async with App(workflows=[FLOW, STUMBLING], models={"large": scripted("x")}, database=database) as app:
        ended = [run for run in await app.ledger.runs() if run.ended_at]
        return json.dumps([(await app.export_tape(run.run_id)).to_json() for run in ended]).encode()


def test_spans_tables_and_tapes_of_such_runs_hold_no_key_either(tmp_path, caplog):
    redacted, plain = tmp_path / "redacted", tmp_path / "plain"
    for folder, guards in ((redacted, [Secrets()]), (plain, [])):
        folder.mkdir()
        asyncio.run(run_both(folder, caplog, *guards))
    assert ENCODED[:12] not in exported_from(redacted)
    assert ENCODED in exported_from(plain)


async def test_where_nothing_redacts_it_is_everywhere(tmp_path, caplog):
    kept, told = await run_both(tmp_path, caplog)
    assert ENCODED in kept
    assert KEY in told


async def test_logs_are_as_before_when_the_app_is_closed(tmp_path, caplog):
    before = logging.getLogRecordFactory()
    await run_both(tmp_path, caplog, Secrets())
    assert logging.getLogRecordFactory() is before


@pytest.mark.parametrize(
    ("guard", "said"),
    [
        (Injection(), "has the action 'None'"),
        (Citations(), "does not look at single texts"),
        (Pii(action="block"), "action='mask'"),
    ],
)
def test_what_cannot_take_anything_out_is_refused(guard, said):
    with pytest.raises(ConfigurationError, match=said):
        App(workflows=[FLOW], redact=[guard])


@pytest.mark.parametrize("redact", [Pii(action="mask"), [Pii], ["pii"]])
def test_what_is_no_list_of_guardrails_is_refused_in_a_sentence(redact):
    with pytest.raises(ConfigurationError, match="is no list of guardrails: write redact="):
        App(workflows=[FLOW], redact=redact)
