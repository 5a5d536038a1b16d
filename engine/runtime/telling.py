"""A node tells something of its own: kept in the ledger, and heard by whoever listens."""

from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from engine.errors import NodeFailed
from engine.records import EventRecord
from engine.runtime.run import Step
from engine.runtime.views import custom_event


def tell(step: Step, name: str, data: Any) -> None:
    """Write down what a node tells, and let it be heard.

    Raises:
        NodeFailed: JSON cannot hold the data.
    """
    run = step.run
    try:
        plain = to_jsonable_python(data)
        kept = run.keep(plain)
    except (PydanticSerializationError, TypeError, ValueError, RecursionError) as error:
        raise NodeFailed(f"the node {step.name!r} told {name!r} with what JSON cannot hold: {error}") from error
    row = EventRecord(
        run_id=run.record.run_id,
        seq=run.next_seq(),
        step_id=step.record.step_id,
        node_name=step.name,
        name=name,
        data_payload=kept,
        emitted_at=run.clock.now(),
    )
    run.write((row,))
    run.tell(custom_event, row, plain)
