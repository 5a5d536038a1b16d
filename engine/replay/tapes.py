"""Tapes: recorded runs as files that are played against the code of today, with no key and no ledger at hand."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.definition.guardrail import Guardrail
from engine.definition.policies import Budget
from engine.definition.workflow import Workflow
from engine.errors import InputError
from engine.models.roles import Model
from engine.models.unasked import Unasked
from engine.replay.batch import ReplayBatches
from engine.replay.replays import Replayed
from engine.replay.tape_file import RecordedRun, recorded_run
from engine.runtime.tape import Tape


class Tapes(ReplayBatches):
    """The part of an app that exports and plays tapes."""

    async def export_tape(self, run_id: str, redact: Sequence[Guardrail] = ()) -> RecordedRun:
        """Give a run as a tape that can be played: it was, before it is given.

        Args:
            run_id: the run, or a beginning or end of its id.
            redact: guardrails whose masks and cuts are carried out in everything that the tape tells.

        Raises:
            InputError: there is no such run, it has no input, or it cannot be played, since it is one of other code or
                since what was redacted decides where it goes.
        """
        recorded = await recorded_run(self.ledger, run_id, redact)
        played = await self.play(recorded)
        if played.difference is not None:
            why = "; what was redacted may decide where it goes" if redact else ""
            raise InputError(f"the run {recorded.run.run_id} cannot be played: {played.difference}{why}")
        return recorded

    async def play(self, recorded: RecordedRun) -> Replayed:
        """Play a tape against the workflow as it is here: nobody is asked, and nothing is left of it.

        Raises:
            ConfigurationError: there is no workflow of this name.
            InputError: its input no longer fits the workflow.
        """
        workflow, said = self.workflow(recorded.run.workflow), recorded.run.budget_payload
        budget = None if said is None else Budget.model_validate_json(said)
        async with self.in_memory(_unasked(workflow, recorded.models)) as app:
            tape = Tape.of(recorded.run, recorded.steps, recorded.calls, recorded.questions, mode="recorded")
            return await app._replayed(tape, recorded.calls, workflow, app._bundle(workflow, budget), budget)


def _unasked(workflow: Workflow, models: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Model | str]:
    """Have each role played by the names of the models that the tape was recorded with."""
    found: dict[str, Model | str] = {}
    for role in workflow.roles:
        played: Model | None = None
        for one in reversed(models.get(role) or [{"provider": "nobody", "model": role}]):
            played = Model(Unasked(provider=one["provider"], model_name=one["model"]), backup=played)
        if played is not None:
            found[role] = played
    return found
