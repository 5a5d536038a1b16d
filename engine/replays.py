"""Replays: a recorded run again, answered from what was recorded; only what a change reaches is asked anew."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from engine.controls import Controls
from engine.definition.policies import Budget
from engine.definition.workflow import Workflow
from engine.errors import InputError
from engine.records import RunRecord
from engine.runtime.events import Listener
from engine.runtime.first_difference import first_difference
from engine.runtime.origin import Origin
from engine.runtime.provenance import engine_version, git_commit
from engine.runtime.result import RunResult
from engine.runtime.runner import Runner
from engine.runtime.tape import Tape

ORIGIN = "replay"
"""Where a replayed run comes from, in `runs.origin`."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to.

    Attributes:
        result: of the new run.
        before: the recorded run.
        difference: the first thing in which they ended differently, in words; None if they ended the same.
        played: attempts that were answered from the tape.
        live: attempts that were made.
    """

    result: RunResult
    before: RunRecord
    difference: str | None
    played: int
    live: int

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON: the result as a run has it, and what a replay has besides."""
        return self.result.to_json() | {
            "replay_of": self.before.run_id,
            "difference": self.difference,
            "played": self.played,
            "live": self.live,
        }


class Replays(Controls):
    """The part of an app that replays runs."""

    def _running(self) -> Runner:
        raise NotImplementedError

    def _bundle(self, workflow: Workflow, budget: Budget | None = None) -> dict[str, Any]:
        raise NotImplementedError

    async def replay(
        self,
        run_id: str,
        *,
        recorded: bool = True,
        since: str | None = None,
        workflow: Workflow | None = None,
        live_effects: bool = False,
        budget: Budget | None = None,
        listener: Listener | None = None,
    ) -> Replayed:
        """Run a recorded run again, as a new run with today's definition, answered from what was recorded.

        Args:
            run_id: the run, or a beginning or end of its id that fits one run only.
            recorded: ask nobody: a request that was not recorded ends the replay, and the message names the first
                difference. Else it is made, and paid.
            since: the node from which on everything is asked anew, as in "draft", or "draft#2" for its second visit.
            workflow: what is run instead of the app's workflow of that name.
            live_effects: let tools that act once be called where their call was not recorded.
            budget: what the new run may spend, if not what the recorded one could.
            listener: is told what happens while it happens.

        Raises:
            InputError: there is no such run, it has no input, or it never came to the node.
            ConfigurationError: a model of the workflow cannot be asked.
        """
        before = await self.ledger.run(run_id)
        chosen = workflow or self.workflow(before.workflow)
        if before.input_payload is None:
            raise InputError(f"the run {before.run_id} was refused before it began: there is nothing to replay")
        steps = await self.ledger.steps(before.run_id)
        if since is not None and since.partition("#")[0] not in {step.node_name for step in steps}:
            raise InputError(f"the run {before.run_id} never came to {since!r}: `flowledger show` lists its steps")
        tape = Tape.of(
            before,
            steps,
            await self.ledger.calls(before.run_id),
            await self.ledger.questions(before.run_id),
            mode="recorded" if recorded and since is None else "then live",
            live_effects=live_effects,
            until=since,
        )
        if budget is None and before.budget_payload is not None:
            budget = Budget.model_validate_json(before.budget_payload)
        given = await self.ledger.value(before.input_payload)
        result = await self._running().run(
            chosen,
            given,
            bundle=self._bundle(chosen, budget),
            origin=_origin(before),
            listener=listener,
            budget=budget,
            tape=tape,
        )
        difference = await self._difference(before, await self.ledger.run(result.run_id))
        return Replayed(result, before, difference, tape.played, tape.live)

    async def _difference(self, before: RunRecord, after: RunRecord) -> str | None:
        """Say in which way two runs ended differently first."""
        if before.status != after.status:
            why = f": {after.error_message}" if after.error_message else ""
            return f"it {before.status} and now {after.status}{why}"
        if before.error_type != after.error_type:
            return f"it failed with {before.error_type} and now with {after.error_type}: {after.error_message}"
        if before.output_payload is None or after.output_payload is None:
            return None
        return first_difference(
            await self.ledger.value(before.output_payload), await self.ledger.value(after.output_payload)
        )


def _origin(before: RunRecord) -> Origin:
    return Origin(
        tenant=before.tenant,
        user_id=before.user_id,
        conversation_id=None,  # no later run shall hear a replay
        origin=ORIGIN,
        parent_run_id=before.run_id,
        engine_version=engine_version(),
        git_commit=git_commit(),
    )


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be other than it was: models of roles, and places in the definition of a workflow."""

    models: Mapping[str, str]
    places: Mapping[tuple[str, ...], Any]

    @classmethod
    def of(cls, settings: Sequence[str]) -> "Changes":
        """Read `model.ROLE=SPEC`, `prompt.NODE=TEXT` (or @FILE) and `node.NODE.FIELD=JSON`.

        Raises:
            InputError: one is none of these.
        """
        models: dict[str, str] = {}
        places: dict[tuple[str, ...], Any] = {}
        for setting in settings:
            name, equals, text = setting.partition("=")
            match name.split("."):
                case ["model", role] if equals:
                    models[role] = text
                case ["prompt", node] if equals:
                    places["nodes", node, "prompt", "text"] = _text(text)
                case ["node", node, *path] if equals and path:
                    places["nodes", node, *path] = _json(text)
                case _:
                    raise InputError(
                        f"--set {setting!r}: write model.ROLE=SPEC, prompt.NODE=TEXT or @FILE, or node.NODE.FIELD=VALUE"
                    )
        return cls(models, places)

    def applied_to(self, workflow: Workflow) -> Workflow:
        """Give a workflow with these places changed.

        Raises:
            InputError: there is no such node.
            DefinitionError: the changed workflow is not valid.
        """
        plain = json.loads(workflow.to_json())
        for path, value in self.places.items():
            if path[1] not in plain["nodes"]:
                raise InputError(
                    f"--set names the node {path[1]!r}; those of {workflow.name!r} are {', '.join(plain['nodes'])}"
                )
            at = plain
            for name in path[:-1]:
                inner = at.setdefault(name, {})
                at = cast("dict[str, Any]", inner)
            at[path[-1]] = value
        return type(workflow).from_json(json.dumps(plain)) if self.places else workflow


def _text(given: str) -> str:
    if not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--set: the file {given[1:]} cannot be read: {error}") from error


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
