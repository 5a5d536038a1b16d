"""A visit of a node becomes a step; one inside another that had finished before is read off the ledger."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.definition.edges import END
from engine.definition.node import Node
from engine.definition.routes import Route
from engine.definition.state import StateField, plain_fields
from engine.records import StepRecord
from engine.runtime.pinned import refuse_gone_nodes
from engine.runtime.run import Scope, Step
from engine.usage import Amount


@dataclass(frozen=True, slots=True)
class Touched:
    """What a node reads and writes, found out once for all its visits.

    Attributes:
        fields: the fields that its update may go to.
    """

    reads: Sequence[str]
    writes: frozenset[str]
    fields: Mapping[str, StateField]

    @classmethod
    def by(cls, node: Node, fields: Mapping[str, StateField] | None = None) -> "Touched":
        """Ask a node; where it writes into no state, its fields are what it writes."""
        writes = node.writes
        return cls(tuple(node.reads), frozenset(writes), plain_fields(writes) if fields is None else fields)


def begin(
    scope: Scope,
    name: str,
    node: Node,
    state: Mapping[str, Any],
    *,
    visit: int,
    way: Route | None,
    touched: Touched,
    item: int | None = None,
    task_id: str = "",
) -> Step:
    """Begin a step; what an earlier process had spent on it is counted where its sub-workflow's budget is."""
    run, parent = scope.run, scope.parent
    path = name if parent is None else f"{parent.name}/{name}"
    step_id, now = _step_id(scope, name, visit, item), run.clock.now()
    tries = run.journal.tries(step_id)
    step = Step(
        scope=scope,
        run=run,
        name=path,
        node=node,
        way=way,
        fields=touched.fields,
        record=StepRecord(
            step_id=step_id,
            run_id=run.record.run_id,
            seq=0,  # it gets its number when it runs
            node_name=path,
            node_kind=node.kind,
            visit=visit,
            started_at=now,
            attempt=tries + 1,
            parent_step_id=None if parent is None else parent.record.step_id,
            item=item,
        ),
        state=state,
        inputs={field: state.get(field) for field in touched.reads},
        writes=touched.writes,
        task_id=task_id,
        began_at=run.journal.began(step_id, now),
    )
    if run.tape is not None:
        step.began_at = run.tape.began(step.key, now)
        if forced := run.tape.forced(step.key):
            step.forced, step.state = forced, {**state, **forced}
            step.inputs = {field: step.state.get(field) for field in touched.reads}
    if tries and parent is not None:
        step.shared_account.recount(Amount(steps=tries))
    return step


async def recall(step: Step) -> Mapping[str, Any] | None:
    """Give what a step inside another wrote in an earlier process; None if it has to run.

    Raises:
        VersionChanged: the node that follows it is gone.
    """
    done = step.run.journal.finished_step(step.record.step_id)
    if done is None or done.update_payload is None:
        return None
    goto = tuple(done.goto.split(", ")) if done.goto else ()
    refuse_gone_nodes(step.run.record.run_id, [name for name in goto if name != END], step.scope.workflow)
    step.shared_account.recount(step.run.journal.charged_inside(done.step_id))
    step.goto = goto
    step.record.fallback_to = done.fallback_to
    step.gives_up = gave_up(done, step.node)
    return await step.run.ledger.value(done.update_payload)


def finished_before(scope: Scope, name: str, visit: int) -> StepRecord | None:
    """Give a visit of a node, inside another step, that an earlier process had finished."""
    return None if scope.parent is None else scope.run.journal.finished_step(_step_id(scope, name, visit, None))


def gave_up(done: StepRecord, node: Node) -> bool:
    """Say whether an optional way failed at a step, so that what took over is the join."""
    return done.fallback_to is not None and done.fallback_to != node.fallback


def _step_id(scope: Scope, name: str, visit: int, item: int | None) -> str:
    """Name a visit by what it is, so that it has the same name when it runs again: 16 hex digits."""
    if scope.parent is None:
        place = f"{scope.run.record.run_id}\0{name}\0{visit}"
    else:  # a step that is asked again runs what is inside it again
        parent = scope.parent
        place = f"{parent.record.step_id}\0{len(parent.feedback)}\0{name}\0{visit}\0{item}"
    return hashlib.blake2b(place.encode(), digest_size=8).hexdigest()
