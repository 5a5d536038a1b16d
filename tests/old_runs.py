"""Runs that ended long ago or lately, with rows and checkpoints of every kind, for tests of what is deleted."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, insert, select

from engine.records import CallRecord, RunRecord, RunStatus, StepRecord
from engine.store import tables
from engine.store.ended_runs import Scope
from engine.store.ledger import SqlLedger
from tests.flows import run_id

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OLD, RECENT = NOW - timedelta(days=60), NOW - timedelta(days=1)
MONTH = Scope(NOW - timedelta(days=30))
WHOLE = Scope(NOW - timedelta(days=30), whole_runs=True)
LONG = "a text that is too long to stand where it is named " * 30


def run(number: int, ended: datetime | None = OLD, status: RunStatus = RunStatus.FAILED, **fields) -> RunRecord:
    return RunRecord(
        run_id=run_id(number),
        workflow="ask",
        version="v1",
        status=status,
        started_at=(ended or OLD) - timedelta(minutes=1),
        ended_at=ended,
        **fields,
    )


def step(number: int, of: int = 1, **fields) -> StepRecord:
    return StepRecord(
        step_id=f"{number:016x}",
        run_id=run_id(of),
        seq=number,
        node_name="draft",
        node_kind="engine:Generate",
        visit=1,
        started_at=OLD,
        **fields,
    )


def call(number: int, of: int = 1, **fields) -> CallRecord:
    return CallRecord(
        call_id=f"{number:016x}",
        run_id=run_id(of),
        step_id=f"{number:016x}",
        node_name="draft",
        ordinal=1,
        attempt=1,
        operation_name="chat",
        target="large",
        started_at=OLD,
        request_hash="h",
        **fields,
    )


async def put_checkpoint(ledger: SqlLedger, number: int, *, namespace: str = "", address: str | None = None) -> None:
    """Store a checkpoint of a run, whose channel is in a payload and of which a task wrote that payload, too."""
    value = [] if address is None else [bytes.fromhex(address)]
    serde = ledger.checkpoints.serde

    def write(connection):
        made = insert(tables.checkpoint_streams).values(thread_id=run_id(number), checkpoint_ns=namespace)
        sid = connection.execute(made.returning(tables.checkpoint_streams.c.sid)).scalar_one()
        row = {"sid": sid, "checkpoint_id": "c1", "state": b"state", "metadata": b"{}", "addresses": None}
        if value:
            row["addresses"] = serde.dumps_typed({"passages": value[0]})[1]
        connection.execute(insert(tables.checkpoints), row)
        blob = {"sid": sid, "channel": "message", "version": 1, "type": "msgpack", "value": b"blob"}
        connection.execute(insert(tables.checkpoint_blobs), blob)

    await ledger.change(write)


async def put_write(ledger: SqlLedger, number: int, address: str) -> None:
    """Store what a task of a run wrote, as a payload."""

    def write(connection):
        made = insert(tables.checkpoint_streams).values(thread_id=run_id(number), checkpoint_ns="writes")
        sid = connection.execute(made.returning(tables.checkpoint_streams.c.sid)).scalar_one()
        row = {"sid": sid, "checkpoint_id": "c1", "task_id": "t", "idx": 0, "task_path": "", "channel": "notes"}
        connection.execute(insert(tables.checkpoint_writes), row | {"type": "payload", "value": bytes.fromhex(address)})

    await ledger.change(write)


async def rows(ledger: SqlLedger, table) -> int:
    return await ledger.read(lambda connection: connection.scalar(select(func.count()).select_from(table)))


async def names(ledger: SqlLedger) -> set[str]:
    return await ledger.read(lambda connection: set(connection.scalars(select(tables.payloads.c.sha256))))
