"""What a run knew before and after a step, put together from its input and what its steps wrote."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.definition.state import default_state, fields_of
from engine.definition.workflow import Workflow
from engine.errors import InputError
from engine.records import RunRecord, StepRecord
from engine.store.ledger import SqlLedger


@dataclass(frozen=True, slots=True)
class StateAt:
    """The state around one step of a run.

    Attributes:
        before: the state when it began.
        wrote: what it wrote; nothing if it failed.
        after: the state when that had been taken in.
    """

    step: StepRecord
    before: Mapping[str, Any]
    wrote: Mapping[str, Any]
    after: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {
            "step": self.step.node_name,
            "visit": self.step.visit,
            "status": self.step.status,
            "before": self.before,
            "wrote": self.wrote,
            "after": self.after,
        }


async def states(ledger: SqlLedger, run: RunRecord, workflow: Workflow) -> list[StateAt]:
    """Give the state around each step of a run, in the order in which they ended; steps inside others are left out."""
    fields = fields_of(workflow.state)
    given: Mapping[str, Any] = {} if run.input_payload is None else await ledger.value(run.input_payload)
    state: dict[str, Any] = {**default_state(workflow.state), **given}
    found: list[StateAt] = []
    steps = [step for step in await ledger.steps(run.run_id) if step.parent_step_id is None]
    for step in sorted(steps, key=lambda step: step.end_seq or step.seq):
        wrote: Mapping[str, Any] = {} if step.update_payload is None else await ledger.value(step.update_payload)
        taken_in = {
            name: fields[name].merge.merge(state.get(name), value) for name, value in wrote.items() if name in fields
        }
        before, state = state, {**state, **taken_in}
        found.append(StateAt(step, before, wrote, state))
    return found


def at_step(found: list[StateAt], run_id: str, name: str) -> StateAt:
    """Give the state around a step: NODE, or NODE#VISIT, or an id or a beginning of it; its last try.

    Raises:
        InputError: the run has no such step.
    """
    node, _, visit = name.partition("#")
    fits = [one for one in found if one.step.node_name == node and (not visit or str(one.step.visit) == visit)]
    fits = fits or [one for one in found if one.step.step_id.startswith(name)]
    if not name or not fits:
        there = ", ".join(dict.fromkeys(one.step.node_name for one in found)) or "none"
        raise InputError(f"--at {name!r}: the steps of the run {run_id} are {there}; NODE#2 is a second visit")
    return fits[-1] if visit else next(one for one in reversed(fits) if one.step.visit == fits[0].step.visit)
