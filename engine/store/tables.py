"""The tables: the ledger, a column a field of its record, named as OpenTelemetry names things; and checkpoints."""

import types
from dataclasses import Field, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, get_args, get_type_hints

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    literal_column,
    text,
)
from sqlalchemy.types import JSON, TypeDecorator, TypeEngine

from engine.control_records import BatchRecord, ControlEventRecord, ScheduleRecord
from engine.eval_records import CaseRecord, DatasetRecord, ExperimentRecord, ScoreRecord
from engine.monitor_records import AlarmEventRecord, AlarmRecord, DeliveryRecord, SampleRecord, SamplingRecord
from engine.price_records import CalibrationRecord, CallCostRecord, CostVersionRecord, PriceRecord
from engine.queue_records import LaneRecord, QueueEntryRecord, QueueLimitRecord, QueueRecord
from engine.records import (
    BreakerRecord,
    CacheEntryRecord,
    CallRecord,
    EventRecord,
    GuardTimeRecord,
    OutcomeRecord,
    QuestionRecord,
    RunRecord,
    StepRecord,
    VerdictRecord,
    VersionRecord,
    WorkerRecord,
)
from engine.replay_records import BatchReplayRecord, ReleaseRecord, ReplayBatchRecord

metadata = MetaData()


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC; SQLite keeps none of the zone, so it is put back when read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        """What its values are."""
        return datetime

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Give an aware time."""
        del dialect
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


def _table(
    name: str, record: type, *indexes: tuple[str, ...], key: tuple[str, ...] = (), clustered: bool = False
) -> Table:
    """Make the table of a record; one without a key gets a running number, a clustered one is stored by its key."""
    hints = get_type_hints(record)
    columns: list[Column[Any]] = [] if key else [Column("id", Integer, primary_key=True, autoincrement=True)]
    columns += [_column(field, hints[field.name], key=field.name in key) for field in fields(record)]
    columns.sort(key=lambda column: key.index(column.name) if column.name in key else len(key))
    table = Table(name, metadata, *columns, sqlite_with_rowid=not clustered)
    for index in indexes:
        Index(f"ix_{name}_{'_'.join(index)}", *(table.c[column] for column in index))
    return table


def _column(field: "Field[Any]", hint: Any, *, key: bool) -> Column[Any]:
    optional = isinstance(hint, types.UnionType)
    kind = next(arg for arg in get_args(hint) if arg is not type(None)) if optional else hint
    return Column(field.name, _type_of(kind), primary_key=key, nullable=optional)


def _type_of(kind: Any) -> TypeEngine[Any]:
    if isinstance(kind, type) and issubclass(kind, StrEnum | str):
        return String()
    kinds: dict[Any, TypeEngine[Any]] = {
        bool: Boolean(),
        int: BigInteger(),
        float: Double(),
        datetime: UtcDateTime(),
    }
    return kinds.get(kind) or JSON()


payloads = Table(
    "payloads",
    metadata,
    Column("sha256", String, primary_key=True),
    Column("encoding", String, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
    sqlite_with_rowid=False,  # else the address would stand in the table and once more in its index
)
versions = _table("versions", VersionRecord, key=("version",))
workers = _table("workers", WorkerRecord, key=("worker_id",))
runs = _table(
    "runs",
    RunRecord,
    ("status", "started_at"),
    ("workflow", "started_at"),
    ("tenant", "started_at"),
    ("started_at",),
    key=("run_id",),
)
IS_RUNNING = runs.c.status == literal_column("'running'")  # a bound value would not be known to be what the index says
Index("ix_runs_running", runs.c.worker_id, sqlite_where=IS_RUNNING, postgresql_where=IS_RUNNING)
_IS_TURN = text("conversation_id IS NOT NULL")  # runs of no conversation pay nothing for it
Index(
    "ix_runs_conversation_id_ended_at",
    runs.c.conversation_id,
    runs.c.ended_at,
    sqlite_where=_IS_TURN,
    postgresql_where=_IS_TURN,
)
for _name, _other in (("batch_id", "status"), ("schedule", "started_at")):
    _is_named = text(f"{_name} IS NOT NULL")
    _columns = (runs.c[_name], runs.c[_other])
    Index(f"ix_runs_{_name}_{_other}", *_columns, sqlite_where=_is_named, postgresql_where=_is_named)
_HAS_PARENT = text("parent_run_id IS NOT NULL")  # replays and runs that judge others; what people asked for has none
Index("ix_runs_parent_run_id", runs.c.parent_run_id, sqlite_where=_HAS_PARENT, postgresql_where=_HAS_PARENT)
breakers = _table("breakers", BreakerRecord, key=("target",))
cache_entries = _table("cache_entries", CacheEntryRecord, ("expires_at",), key=("cache_key",))
_IS_GROUPED = text("group_key IS NOT NULL")
Index(
    "ix_cache_entries_group_key",
    cache_entries.c.group_key,
    cache_entries.c.created_at,
    sqlite_where=_IS_GROUPED,
    postgresql_where=_IS_GROUPED,
)
queue_entries = _table("queue_entries", QueueEntryRecord, key=("run_id",))
_MAY_BE_TAKEN = text("available_at IS NOT NULL")
Index(
    "ix_queue_entries_turn",
    queue_entries.c.queue,
    queue_entries.c.lane,
    queue_entries.c.priority.desc(),
    queue_entries.c.available_at,
    queue_entries.c.enqueued_at,
    sqlite_where=_MAY_BE_TAKEN,
    postgresql_where=_MAY_BE_TAKEN,
)
_IS_DELAYED = text("available_at > enqueued_at")  # a run that need not wait pays nothing for it
Index(
    "ix_queue_entries_delayed",
    queue_entries.c.queue,
    queue_entries.c.available_at,
    sqlite_where=_IS_DELAYED,
    postgresql_where=_IS_DELAYED,
)
_IS_AT_WORK = text("taken_at IS NOT NULL")
Index(
    "ix_queue_entries_at_work",
    queue_entries.c.queue,
    queue_entries.c.lane,
    sqlite_where=_IS_AT_WORK,
    postgresql_where=_IS_AT_WORK,
)
lanes = _table("lanes", LaneRecord, key=("queue", "lane"))
Index("ix_lanes_turn", lanes.c.queue, lanes.c.last_claim_at, lanes.c.lane)
queue_limits = _table("queue_limits", QueueLimitRecord, key=("queue", "kind", "name"))
queues = _table("queues", QueueRecord, key=("queue",))
schedules = _table("schedules", ScheduleRecord, key=("name",))
batches = _table("batches", BatchRecord, key=("batch_id",))
Index("ix_batches_name", batches.c.name, unique=True)
control_events = _table("control_events", ControlEventRecord, ("at",))
steps = _table("steps", StepRecord, key=("run_id", "step_id", "attempt"), clustered=True)
for _name, _columns in {  # few steps have one of these, and reports ask for those
    "fallback_to": (steps.c.run_id, steps.c.step_id),
    "routed": (steps.c.run_id,),
    "saved_nano_usd": (steps.c.run_id, steps.c.cached, steps.c.saved_nano_usd),
}.items():
    _has_one = text(f"{_name} IS NOT NULL")
    Index(f"ix_steps_{_name}", *_columns, sqlite_where=_has_one, postgresql_where=_has_one)
calls = _table("calls", CallRecord, key=("run_id", "call_id"), clustered=True)
events = _table("events", EventRecord, key=("run_id", "seq"), clustered=True)
questions = _table("questions", QuestionRecord, key=("run_id", "question_id"), clustered=True)
_IS_JUDGES = text("purpose = 'guard'")
Index("ix_calls_guard", calls.c.run_id, sqlite_where=_IS_JUDGES, postgresql_where=_IS_JUDGES)
verdicts = _table("verdicts", VerdictRecord, ("run_id",))
guard_times = _table("guard_times", GuardTimeRecord, ("run_id",))
outcomes = _table("outcomes", OutcomeRecord, ("run_id",))
prices = _table("prices", PriceRecord)
cost_versions = _table("cost_versions", CostVersionRecord, key=("version",))
call_costs = _table("call_costs", CallCostRecord, key=("run_id", "call_id", "version"), clustered=True)
calibrations = _table(
    "calibrations", CalibrationRecord, key=("provider", "model", "with_tools", "version"), clustered=True
)
releases = _table("releases", ReleaseRecord, ("name",))
replay_batches = _table("replay_batches", ReplayBatchRecord, key=("batch_id",))
batch_replays = _table("batch_replays", BatchReplayRecord, key=("batch_id", "run_id"))
datasets = _table("datasets", DatasetRecord, key=("name", "version"))
cases = _table("cases", CaseRecord, ("dataset", "position"), key=("dataset", "case_id"))
experiments = _table("experiments", ExperimentRecord, key=("experiment_id",))
scores = _table(
    "scores", ScoreRecord, ("experiment_id",), key=("run_id", "evaluator", "evaluator_version"), clustered=True
)
samplings = _table("samplings", SamplingRecord, key=("workflow",))
samples = _table("samples", SampleRecord, ("workflow", "state", "began_at"), key=("run_id",))
alarms = _table("alarms", AlarmRecord, key=("name",))
alarm_events = _table("alarm_events", AlarmEventRecord, key=("alarm", "number"))
alarm_deliveries = _table("alarm_deliveries", DeliveryRecord, key=("alarm", "number", "sink"))
_IS_ON_ITS_WAY = text("next_at IS NOT NULL")
Index(
    "ix_alarm_deliveries_next_at",
    alarm_deliveries.c.next_at,
    sqlite_where=_IS_ON_ITS_WAY,
    postgresql_where=_IS_ON_ITS_WAY,
)

spend_windows = Table(
    "spend_windows",
    metadata,
    Column("limit_key", String, primary_key=True),
    Column("begins_at", UtcDateTime(), primary_key=True),
    Column("settled_nano_usd", BigInteger, nullable=False),
    Column("held_nano_usd", BigInteger, nullable=False),
)
spend_holds = Table(
    "spend_holds",
    metadata,
    Column("limit_key", String, primary_key=True),
    Column("begins_at", UtcDateTime(), primary_key=True),
    Column("run_id", String, primary_key=True),
    Column("settled_nano_usd", BigInteger, nullable=False),
    Column("held_nano_usd", BigInteger, nullable=False),
    Index("ix_spend_holds_run_id", "run_id"),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("token_id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("tenant", String, nullable=True),
    Column("scopes", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("created_at", UtcDateTime(), nullable=False),
    Column("expires_at", UtcDateTime(), nullable=True),
)

checkpoint_streams = Table(
    "checkpoint_streams",
    metadata,
    Column("sid", Integer, primary_key=True, autoincrement=True),
    Column("thread_id", String, nullable=False),
    Column("checkpoint_ns", String, nullable=False),
    UniqueConstraint("thread_id", "checkpoint_ns"),
)
_HAS_RUN = text("run_id IS NOT NULL")
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("sid", Integer, primary_key=True, autoincrement=False),
    Column("checkpoint_id", String, primary_key=True),
    Column("parent_id", String, nullable=True),
    Column("run_id", String, nullable=True),
    Column("state", LargeBinary, nullable=False),
    Column("addresses", LargeBinary, nullable=True),
    Column("metadata", LargeBinary, nullable=False),
    Index("ix_checkpoints_run_id", "run_id", sqlite_where=_HAS_RUN, postgresql_where=_HAS_RUN),
    sqlite_with_rowid=False,
)
checkpoint_blobs = Table(
    "checkpoint_blobs",
    metadata,
    Column("sid", Integer, primary_key=True, autoincrement=False),
    Column("channel", String, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("type", String, nullable=False),
    Column("value", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
checkpoint_writes = Table(
    "checkpoint_writes",
    metadata,
    Column("sid", Integer, primary_key=True, autoincrement=False),
    Column("checkpoint_id", String, primary_key=True),
    Column("task_id", String, primary_key=True),
    Column("idx", Integer, primary_key=True),
    Column("task_path", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("type", String, nullable=False),
    Column("value", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
