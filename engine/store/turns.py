"""The turns of a conversation, read off the rows of its runs; nothing of them is kept twice."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from engine.definition.conversation import Conversation, Turn
from engine.payloads import addresses_in, field_of, is_address, unpack
from engine.records import RunRecord, RunStatus
from engine.store import tables
from engine.store.reader import content_at, contents_at


def turns_before(
    connection: Connection, run: RunRecord, conversation: Conversation, last: int, inside: str | None
) -> list[Turn]:
    """Give the newest turns that had ended when a run began, in the order in which they ended.

    Only runs of the same workflow, conversation and tenant that succeeded are turns. What had ended then stays so, so
    a run that goes on after a crash hears what it heard before.
    """
    table = tables.runs
    mine = (
        (table.c.conversation_id == run.conversation_id)
        & (table.c.workflow == run.workflow)
        & table.c.tenant.is_not_distinct_from(run.tenant)
        & (table.c.status == RunStatus.SUCCEEDED)
        & (table.c.ended_at <= run.started_at)
        & (table.c.run_id != run.run_id)
    )
    newest = select(table.c.run_id, table.c.input_payload, table.c.output_payload).where(mine)
    newest = newest.order_by(table.c.ended_at.desc(), table.c.run_id.desc()).limit(last)
    rows = list(reversed(connection.execute(newest).all()))
    wrote = _written(connection, [row.run_id for row in rows], inside)
    parts = _fields(
        connection,
        [(row.input_payload, conversation.says) for row in rows]
        + [(row.output_payload, conversation.answers) for row in rows],
    )
    values = _values(connection, [*parts, *wrote.values()])
    return [
        Turn(
            run_id=row.run_id,
            says=_value(parts[number], values),
            answers=_value(parts[len(rows) + number], values),
            wrote=_value(wrote.get(row.run_id), values),
        )
        for number, row in enumerate(rows)
    ]


def _written(connection: Connection, run_ids: Sequence[str], node_name: str | None) -> dict[str, str]:
    """Give what stands for the last update of a step in each of these runs that has it."""
    if node_name is None or not run_ids:
        return {}
    table = tables.steps
    mine = table.c.run_id.in_(run_ids) & (table.c.node_name == node_name) & (table.c.status == "ok")
    query = select(table.c.run_id, table.c.update_payload).where(mine).order_by(table.c.seq)
    return {row.run_id: row.update_payload for row in connection.execute(query)}


def _fields(connection: Connection, wanted: Sequence[tuple[str | None, str]]) -> list[str | None]:
    """Give what stands for a field of each object; the rest of an object is not read."""
    contents = content_at(connection, {name for name, _ in wanted if name is not None and is_address(name)})
    return [None if name is None else field_of(contents.get(name, name), field) for name, field in wanted]


def _values(connection: Connection, names: Iterable[str | None]) -> Mapping[str, str]:
    return contents_at(connection, {address for name in names for address in addresses_in(name)})


def _value(name: str | None, contents: Mapping[str, str]) -> Any:
    return None if name is None else unpack(name, contents.__getitem__)
