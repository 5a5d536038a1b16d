"""One recorded run again, as a new run: answered from what was recorded; only what a change reaches is asked anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.controls import Controls
from engine.definition.policies import Budget
from engine.definition.state import Replace, fields_of
from engine.definition.workflow import Workflow
from engine.errors import InputError, UpdateInvalid
from engine.payloads import canonical
from engine.records import CallRecord, RunRecord, RunStatus, StepRecord
from engine.replay.reach import changed_nodes
from engine.replay_records import REPLAY
from engine.runtime.events import Listener
from engine.runtime.first_difference import first_difference
from engine.runtime.origin import Origin
from engine.runtime.provenance import engine_version, git_commit
from engine.runtime.result import RunResult
from engine.runtime.tape import Fork, Tape
from engine.store import replay_batches

_STOPPED = (RunStatus.RUNNING, RunStatus.QUEUED, RunStatus.CANCELLED, RunStatus.BUDGET_EXCEEDED)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to.

    Attributes:
        result: of the new run.
        before: the recorded run.
        difference: the first thing in which they ended differently, in words; None if they ended the same.
        calls: the attempts of the new run, those from the tape and those that were made.
        calls_before: those of the recorded run.
    """

    result: RunResult
    before: RunRecord
    difference: str | None
    calls: Sequence[CallRecord]
    calls_before: Sequence[CallRecord]

    @property
    def verdict(self) -> str:
        """What became of the run: fixed, broken, the same, or diverged, if it succeeded or failed otherwise."""
        after, error = self.result.status is RunStatus.SUCCEEDED, self.result.error
        if self.difference is None or (error is not None and error.type == "Diverged"):
            return "same" if self.difference is None else "diverged"
        before = self.before.status is RunStatus.SUCCEEDED
        return "diverged" if before is after else "fixed" if after else "broken"

    @property
    def live(self) -> int:
        """How many attempts were made."""
        return len(self.calls) - self.played

    @property
    def played(self) -> int:
        """How many attempts were answered from the tape."""
        return sum(call.cost_source == "recorded" for call in self.calls)

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON: the result as a run has it, and what a replay has besides."""
        return self.result.to_json() | {
            "replay_of": self.before.run_id,
            "difference": self.difference,
            "played": self.played,
            "live": self.live,
        }


class Replays(Controls):
    """The part of an app that replays a run."""

    async def replay(
        self,
        run_id: str,
        *,
        recorded: bool = True,
        since: str | None = None,
        state: Mapping[str, Any] | None = None,
        workflow: Workflow | None = None,
        live_effects: bool = False,
        stubs: Mapping[str, Any] | None = None,
        budget: Budget | None = None,
        new_run_id: str | None = None,
        listener: Listener | None = None,
    ) -> Replayed:
        """Run a recorded run again, as a new run with today's definition, answered from what was recorded.

        `with_models` gives an app in which other models play the roles.

        Args:
            run_id: the run, or a beginning or end of its id that fits one run only.
            recorded: ask nobody: a request that was not recorded ends the replay, and the message names the first
                difference. Else it is made, and paid.
            since: the node from which on everything is asked anew, as in "draft", or "draft#2" for its second visit.
            state: fields that hold something else from there on.
            workflow: what is run instead of the app's workflow of that name.
            live_effects: let tools that act once be called where their call was not recorded; else what they answered
                last in any run stands for their answer.
            stubs: what stands for it instead, by the name of the tool.
            budget: what the new run may spend, if not what the recorded one could.
            new_run_id: 32 hex digits for the new run; one that was begun before goes on, and pays nothing twice.
            listener: is told what happens while it happens.

        Raises:
            InputError: there is no such run, it has no input, it never came to the node, or the state does not fit.
            ConfigurationError: a model of the workflow cannot be asked.
        """
        before = await self.ledger.run(run_id)
        chosen = workflow or self.workflow(before.workflow)
        if before.input_payload is None:
            raise InputError(f"the run {before.run_id} was refused before it began: there is nothing to replay")
        steps = await self.ledger.steps(before.run_id)
        if budget is None and before.budget_payload is not None:
            budget = Budget.model_validate_json(before.budget_payload)
        bundle, calls = self._bundle(chosen, budget), await self.ledger.calls(before.run_id)
        was_cached = any(step.cached for step in steps)
        tape = Tape.of(
            before,
            steps,
            calls,
            await self.ledger.questions(before.run_id),
            mode="recorded" if recorded and since is None else "then live",
            live_effects=live_effects,
            fork=_fork(before, steps, chosen, since, state),
            changed=await self.changed_nodes(before, chosen, bundle) if was_cached else (),
            stub=lambda tool: self._stub(tool, stubs or {}),
        )
        return await self._replayed(tape, calls, chosen, bundle, budget, new_run_id, listener)

    async def changed_nodes(
        self, before: RunRecord, workflow: Workflow, bundle: Mapping[str, Any] | None = None
    ) -> frozenset[str]:
        """Give the nodes of a workflow that ask something else, or somebody else, than they did in a run."""
        if before.bundle_payload is None:
            return frozenset()
        return changed_nodes(
            workflow,
            bundle or self._bundle(workflow),
            await self.ledger.definition(before.version),
            await self.ledger.value(before.bundle_payload),
        )

    async def _stub(self, tool: str, said: Mapping[str, Any]) -> str | None:
        """Give what stands for the answer of a tool that is not called: what was said, or what it answered last."""
        if tool in said:
            return canonical(said[tool])
        if tool not in self._last_answers:
            found = await self.ledger.read(lambda connection: replay_batches.last_answer(connection, tool))
            if found is None:
                return None
            self._last_answers[tool] = found
        return self._last_answers[tool]

    async def _replayed(
        self,
        tape: Tape,
        calls_before: Sequence[CallRecord],
        workflow: Workflow,
        bundle: Mapping[str, Any],
        budget: Budget | None,
        run_id: str | None = None,
        listener: Listener | None = None,
    ) -> Replayed:
        """Play a tape, and say what that came to."""
        result = await self._play(tape, workflow, bundle, budget, run_id, listener)
        after = await self.ledger.run(result.run_id)
        difference = await self._difference(tape.record, after)
        return Replayed(result, tape.record, difference, await self.ledger.calls(result.run_id), calls_before)

    async def _play(
        self,
        tape: Tape,
        workflow: Workflow,
        bundle: Mapping[str, Any],
        budget: Budget | None,
        run_id: str | None,
        listener: Listener | None,
    ) -> RunResult:
        """Begin the new run, go on with it, or give how it ended."""
        known = await self.ledger.known([run_id] if run_id else [])
        if not known:
            given = await self.ledger.value(tape.record.input_payload or "{}")
            return await self._running().run(
                workflow,
                given,
                bundle=bundle,
                origin=_origin(tape.record),
                listener=listener,
                run_id=run_id,
                budget=budget,
                tape=tape,
            )
        record = known[0]
        if record.status not in _STOPPED or record.input_payload is None:
            return await self.result_of(record)
        return await self._running().resume(
            workflow, record.run_id, bundle=bundle, budget=budget, listener=listener, tape=tape
        )

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


def _fork(
    before: RunRecord, steps: list[StepRecord], workflow: Workflow, since: str | None, state: Mapping[str, Any] | None
) -> Fork | None:
    """See where a replay leaves the recorded run, and with what."""
    if since is None:
        if state:
            raise InputError("the state is set at a node: say which with --from NODE")
        return None
    name, _, visit = since.partition("#")
    if visit and not visit.isdecimal():
        raise InputError(f"--from {since!r}: write NODE or NODE#VISIT, as in draft#2")
    if state and "/" in name:
        raise InputError(f"--from {since!r}: the state is that of the workflow, so it is set at one of its own nodes")
    fork = Fork(name, int(visit or 1), _checked(workflow, state or {}))
    if (fork.node, fork.visit) not in {(step.node_name, step.visit) for step in steps}:
        raise InputError(f"the run {before.run_id} never came to {since!r}: `flowledger show` lists its steps")
    return fork


def _checked(workflow: Workflow, state: Mapping[str, Any]) -> dict[str, Any]:
    fields = fields_of(workflow.state)
    for name in state:
        if name not in fields:
            raise InputError(f"--state names {name!r}; the fields of {workflow.name!r} are {', '.join(fields)}")
        if not isinstance(fields[name].merge, Replace):
            raise InputError(f"--state: the field {name!r} grows by what nodes write, so it cannot be set")
    try:
        return {name: fields[name].to_json(value) for name, value in state.items()}
    except UpdateInvalid as error:
        raise InputError(f"--state: {error}") from error


def _origin(before: RunRecord) -> Origin:
    return Origin(
        tenant=before.tenant,
        user_id=before.user_id,
        conversation_id=None,  # no later run shall hear a replay
        origin=REPLAY,
        parent_run_id=before.run_id,
        engine_version=engine_version(),
        git_commit=git_commit(),
    )
