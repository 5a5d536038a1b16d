"""The runner takes a run from its input to its end, and says in the ledger how it ended."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langgraph.errors import GraphBubbleUp

from engine.definition.guardrail import Stage
from engine.definition.state import initial_state
from engine.definition.workflow import Workflow
from engine.errors import ApprovalRequired, BudgetExceeded, EngineError, GuardrailBlocked, NodeFailed
from engine.payloads import pack
from engine.ports import Clock, Ledger
from engine.records import RunRecord, RunStatus, VersionRecord
from engine.runtime.compile import COUNTS, CompiledWorkflow, compile_workflow
from engine.runtime.events import Listener
from engine.runtime.middleware.breaker import Breakers
from engine.runtime.middleware.cache import StepCache
from engine.runtime.middleware.guard import guarded
from engine.runtime.middleware.journal import RunJournal
from engine.runtime.result import RunFault, RunResult
from engine.runtime.run import Run, Target
from engine.usage import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who a run is for and where it comes from."""

    tenant: str | None = None
    user_id: str | None = None
    conversation_id: str | None = None
    origin: str = "run"
    parent_run_id: str | None = None
    engine_version: str = ""
    git_commit: str | None = None


@dataclass(slots=True, kw_only=True)
class Runner:
    """Runs workflows one after another or side by side; breakers and the cache are shared among them.

    Attributes:
        targets_of: the models that play a role, the backups behind the first.
    """

    ledger: Ledger
    clock: Clock
    targets_of: Callable[[str], Sequence[Target]]
    breakers: Breakers
    cache: StepCache = field(default_factory=StepCache)
    _compiled: dict[str, CompiledWorkflow] = field(default_factory=dict[str, CompiledWorkflow])

    async def run(
        self,
        workflow: Workflow,
        given: Mapping[str, Any],
        *,
        bundle: Mapping[str, Any],
        origin: Origin,
        listener: Listener | None = None,
    ) -> RunResult:
        """Run a workflow to its end; how it ended is in the result, not raised.

        Raises:
            InputError: the input does not fit the workflow's state; nothing is recorded.
            StoreError: the ledger cannot be written.
            asyncio.CancelledError: the caller cancelled; the run is recorded as cancelled.
        """
        state = initial_state(workflow.state, given)
        run = self._begin(workflow, bundle, origin, listener)
        began = self.clock.monotonic_ns()
        values, error = state, None
        try:
            await self.ledger.commit([run.record])  # accepted: whatever comes, the ledger knows of this run
            values = await self._in_time(run, given, state)
        except asyncio.CancelledError:
            run.record.status = RunStatus.CANCELLED
            await asyncio.shield(self._finish(run, began, {}, None))
            raise
        except EngineError as ended:
            error = ended
        output = {name: values[name] for name in workflow.output or workflow.state.model_fields if name in values}
        return await self._finish(run, began, output if error is None else {}, error)

    def _begin(self, workflow: Workflow, bundle: Mapping[str, Any], origin: Origin, listener: Listener | None) -> Run:
        now, version = self.clock.now(), workflow.version
        bundle_sha, payloads = pack(dict(bundle))
        record = RunRecord(
            run_id=self.clock.new_run_id(),
            workflow=workflow.name,
            version=version,
            status=RunStatus.RUNNING,
            started_at=now,
            bundle_payload=bundle_sha,
            origin=origin.origin,
            parent_run_id=origin.parent_run_id,
            tenant=origin.tenant,
            user_id=origin.user_id,
            conversation_id=origin.conversation_id,
            engine_version=origin.engine_version,
            git_commit=origin.git_commit,
        )
        definition = VersionRecord(
            version=version, workflow=workflow.name, definition=workflow.to_json(), created_at=now
        )
        self.ledger.submit([*payloads, definition])
        return Run(
            record=record,
            workflow=workflow,
            ledger=self.ledger,
            clock=self.clock,
            account=Account(workflow.budget.limits()),
            journal=RunJournal(),
            breakers=self.breakers,
            cache=self.cache,
            targets_of=self.targets_of,
            control_flow=(GraphBubbleUp,),
            listener=listener,
            bundle_hash=bundle_sha,
        )

    async def _in_time(self, run: Run, given: Mapping[str, Any], state: dict[str, Any]) -> Mapping[str, Any]:
        """Guard the input, run the graph and guard the output, within the budget's seconds."""
        seconds = run.workflow.budget.seconds
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await self._guarded_run(run, given, state)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise BudgetExceeded(
                f"the run took longer than the {seconds:g} seconds of its budget: "
                "raise the workflow's Budget(seconds=...)"
            ) from error

    async def _guarded_run(self, run: Run, given: Mapping[str, Any], state: dict[str, Any]) -> Mapping[str, Any]:
        workflow = run.workflow
        entered = {name: state[name] for name in given}
        if workflow.guard_input:
            entered = await guarded(run, workflow.guard_input, entered, Stage.RUN_INPUT)
        run.record.input_payload = run.keep(entered)
        compiled = self._compile(workflow)
        config = {"recursion_limit": compiled.max_steps, "configurable": {"thread_id": run.record.run_id}}
        try:
            values = await compiled.graph.ainvoke({**state, **entered, COUNTS: {}}, config, context=run)
        except (EngineError, TimeoutError):
            raise
        except Exception as error:
            raise NodeFailed(f"the graph stopped: {type(error).__name__}: {error}") from error
        returned = {name: values[name] for name in workflow.output or workflow.state.model_fields}
        if workflow.guard_output:
            returned = dict(await guarded(run, workflow.guard_output, returned, Stage.RUN_OUTPUT))
        return returned

    def _compile(self, workflow: Workflow) -> CompiledWorkflow:
        if workflow.version not in self._compiled:
            self._compiled[workflow.version] = compile_workflow(workflow)
        return self._compiled[workflow.version]

    async def _finish(self, run: Run, began: int, output: dict[str, Any], error: EngineError | None) -> RunResult:
        record, fault = run.record, None
        record.ended_at, record.duration_ns = self.clock.now(), self.clock.monotonic_ns() - began
        record.cost_nano_usd = run.cost_nano_usd if run.cost_known else None
        if error is not None:
            record.status = status_of(error)
            record.error_type, record.error_message = type(error).__name__, str(error)
            record.error_node = run.failed_node
            fault = RunFault(
                type=type(error).__name__, message=str(error), node=run.failed_node, exit_code=error.exit_code
            )
        elif record.status is RunStatus.RUNNING:
            record.status = RunStatus.SUCCEEDED
            record.output_payload = run.keep(output)
        await self.ledger.finish(record)
        return RunResult.of(record, output, fault)


def status_of(error: EngineError) -> RunStatus:
    """Say how a run that met this error has ended."""
    if isinstance(error, ApprovalRequired):
        return RunStatus.NEEDS_REVIEW
    if isinstance(error, GuardrailBlocked):
        return RunStatus.BLOCKED
    return RunStatus.BUDGET_EXCEEDED if isinstance(error, BudgetExceeded) else RunStatus.FAILED
