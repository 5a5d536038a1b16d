"""What a visit of each node of a workflow usually asks of models, from the runs of it that succeeded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from engine.records import RunStatus
from engine.replay_records import REPLAY
from engine.store.tables import calls, runs

_RUNS = 500  # the latest of them say what is usual


@dataclass(frozen=True, slots=True)
class Usual:
    """What a run asks at a node on average.

    Attributes:
        role: the model role that is asked most.
        calls: how many attempts there are in a run.
        input_tokens: what one of them reads, and `output_tokens` what it writes.
    """

    role: str
    calls: float
    input_tokens: float
    output_tokens: float


def usual_usage(connection: Connection, workflow: str) -> Mapping[str, Usual]:
    """Give what runs ask on average, by the name of the node; one that a run did not come to counts as nothing."""
    latest = (
        select(runs.c.run_id)
        .where(runs.c.workflow == workflow, runs.c.status == RunStatus.SUCCEEDED, runs.c.origin != REPLAY)
        .order_by(runs.c.started_at.desc())
        .limit(_RUNS)
    )
    run_ids = connection.scalars(latest).all()
    query = (
        select(
            calls.c.node_name,
            calls.c.target,
            func.count(),
            func.avg(calls.c.usage_input_tokens),
            func.avg(calls.c.usage_output_tokens),
        )
        .where(calls.c.run_id.in_(run_ids), calls.c.request_model.is_not(None))
        .group_by(calls.c.node_name, calls.c.target)
        .order_by(func.count())
    )
    rows: Sequence[Any] = connection.execute(query).all() if run_ids else ()
    return {row[0].partition("/")[0]: _usual(row, len(run_ids)) for row in rows}


def _usual(row: Any, over: int) -> Usual:
    return Usual(row[1], row[2] / over, float(row[3] or 0), float(row[4] or 0))
