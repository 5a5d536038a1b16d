"""The turns of a conversation, read off the rows of its runs; nothing of them is kept twice."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from engine.definition.conversation import Conversation, Turn
from engine.records import RunRecord, RunStatus
from engine.store import tables
from engine.store.reader import fields_at, values_at


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
    parts = fields_at(
        connection,
        [(row.input_payload, conversation.says) for row in rows]
        + [(row.output_payload, conversation.answers) for row in rows],
    )
    values = values_at(connection, [*parts, *(wrote.get(row.run_id) for row in rows)])
    return [
        Turn(
            run_id=row.run_id,
            says=values[number],
            answers=values[len(rows) + number],
            wrote=values[2 * len(rows) + number],
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
