"""The runner takes a run from its input, or from where it stopped, to its end, and the ledger says how it ended."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, cast

from langgraph.errors import GraphBubbleUp

from engine.definition.guardrail import Stage
from engine.definition.policies import Budget
from engine.definition.redaction import IN_FORCE, Redaction
from engine.definition.spend_limit import SpendLimit
from engine.definition.state import default_state, initial_state
from engine.definition.workflow import Workflow
from engine.errors import BudgetExceeded, EngineError, LeaseLost, NodeFailed, RunBusy, StoreError
from engine.models.charges import Charges
from engine.outbox import OUTBOX, Outbox
from engine.ports import Clock, Ledger, Taken
from engine.records import RunRecord, RunStatus, VersionRecord
from engine.runtime.apart import apart
from engine.runtime.asking import next_look, withdraw
from engine.runtime.compile import CompiledWorkflow, Pause, compile_workflow, ends_before, next_nodes, wake
from engine.runtime.context import ask_judge, embed
from engine.runtime.early_ends import EarlyEnds
from engine.runtime.earned import Earned
from engine.runtime.events import Listener
from engine.runtime.examine import guard_times
from engine.runtime.history import RunJournal
from engine.runtime.in_time import in_time
from engine.runtime.leaving import Cancellation, Leaving
from engine.runtime.middleware.admission import Admission
from engine.runtime.middleware.breaker import Breakers
from engine.runtime.middleware.cache import StepCache
from engine.runtime.middleware.guard import guarded
from engine.runtime.origin import Origin
from engine.runtime.pinned import refuse_gone_nodes
from engine.runtime.result import RunResult, status_of
from engine.runtime.run import PricedTarget, Run, Scope, kept_accounts
from engine.runtime.seed import seed
from engine.runtime.spending import Spending
from engine.runtime.tape import Tape
from engine.runtime.tokens import COUNTS
from engine.runtime.vault import TokenKey, Vault
from engine.runtime.views import before, run_finished, run_started
from engine.usage import Account

Work = Callable[[], Awaitable[Mapping[str, Any]]]


@dataclass(slots=True, kw_only=True)
class Runner:
    """Runs workflows one after another or side by side; breakers, limits and the cache are shared among them.

    Attributes:
        targets_of: the models that play a role, the backups behind the first.
    """

    ledger: Ledger
    clock: Clock
    targets_of: Callable[[str], Sequence[PricedTarget]]
    charges: Charges
    breakers: Breakers
    admission: Admission
    cache: StepCache = field(default_factory=StepCache)
    spend_limits: Sequence[SpendLimit] = ()
    redaction: Redaction | None = None
    token_key: TokenKey | None = None
    retries: Earned = field(default_factory=lambda: Earned(20.0))
    hedges: Earned = field(default_factory=lambda: Earned(1.0))
    _compiled: dict[tuple[str, bool], CompiledWorkflow] = field(
        default_factory=dict[tuple[str, bool], CompiledWorkflow]
    )
    _written: set[str] = field(default_factory=set[str])

    async def run(
        self,
        workflow: Workflow,
        given: Mapping[str, Any],
        *,
        bundle: Mapping[str, Any],
        origin: Origin,
        listener: Listener | None = None,
        run_id: str | None = None,
        budget: Budget | None = None,
        tape: Tape | None = None,
    ) -> RunResult:
        """Run a workflow to its end; how it ended is in the result, not raised. A tape makes it a replay.

        Raises:
            InputError: the input does not fit the workflow's state; nothing is recorded.
            StoreError: the ledger cannot be written.
            asyncio.CancelledError: the caller cancelled; the run is recorded as cancelled.
        """
        state = initial_state(workflow.state, given)
        outbox = Outbox(run_id or self.clock.new_run_id())
        record = origin.record(workflow, outbox.run_id, RunStatus.RUNNING, self.clock.now())
        record.claimed_at = record.started_at
        run = self.prepare(workflow, record, outbox, bundle, listener, budget=budget, tape=tape)
        cancel = Cancellation()
        return await self._supervise(run, partial(self._from_input, run, given, state, cancel), cancel)

    def knows(self, workflow: Workflow) -> None:
        """Note that the ledger has the definition of a workflow."""
        self._written.add(workflow.version)

    async def resume(
        self,
        workflow: Workflow,
        run_id: str,
        *,
        bundle: Mapping[str, Any],
        budget: Budget | None = None,
        force: bool = False,
        listener: Listener | None = None,
        tape: Tape | None = None,
    ) -> RunResult:
        """Go on with a run that has not come to its end, from its last checkpoint, in this process.

        Args:
            workflow: the workflow as it is now; whoever calls has seen to its version.
            run_id: the run.
            bundle: what the run stands on from now on.
            budget: what the whole run may spend, if not what the workflow says.
            force: take the run even from a process that seems to live; that one can write nothing more of it.
            listener: is told what happens while it happens.
            tape: what a replay is answered from.

        Raises:
            InputError: the run has come to its end.
            RunBusy: a living process has it.
            VersionChanged: the run waits at a node that the workflow no longer has.
        """
        await self._see_to_next_nodes(workflow, run_id)
        cancel = Cancellation()
        said = None if budget is None else budget.model_dump_json(exclude_defaults=True)
        taken = await self.ledger.take(run_id, self.clock.now(), cancel, force=force, budget=said)
        return await self.go_on(
            workflow, taken, bundle=bundle, cancel=cancel, budget=budget, listener=listener, tape=tape
        )

    async def go_on(
        self,
        workflow: Workflow,
        taken: Taken,
        *,
        bundle: Mapping[str, Any],
        cancel: Cancellation | None = None,
        budget: Budget | None = None,
        listener: Listener | None = None,
        leaving: Leaving | None = None,
        tape: Tape | None = None,
    ) -> RunResult:
        """Work on a run that was taken, from its last checkpoint or its input; whoever sets `leaving` has it stop."""
        has_begun = taken.has_begun
        outbox = Outbox(
            taken.record.run_id,
            fence=taken.record.fence,
            is_new=not has_begun,
            has_checkpoint=has_begun,
            has_blobs=has_begun,
            is_queued=taken.is_queued,
        )
        taken.record.version = workflow.version
        cancel = cancel or Cancellation()
        self.ledger.hold(taken.record.run_id, cancel)
        try:
            run = self.prepare(workflow, taken.record, outbox, bundle, listener, taken=taken, budget=budget, tape=tape)
        except BaseException:
            self.ledger.let_go(outbox)
            raise
        run.leaving = leaving or run.leaving
        return await self._supervise(run, partial(self._onwards, run), cancel)

    def prepare(
        self,
        workflow: Workflow,
        record: RunRecord,
        outbox: Outbox,
        bundle: Mapping[str, Any],
        listener: Listener | None,
        *,
        taken: Taken | None = None,
        budget: Budget | None = None,
        tape: Tape | None = None,
    ) -> Run:
        """Make ready what a run needs, without writing anything."""
        outbox.redaction = self.redaction
        record.bundle_payload = outbox.keep(dict(bundle))
        granted = None if record.budget_payload is None else Budget.model_validate_json(record.budget_payload)
        chosen = budget or granted or workflow.budget
        if workflow.version not in self._written:
            definition, now = workflow.to_json(), self.clock.now()
            version = VersionRecord(
                version=workflow.version, workflow=workflow.name, definition=definition, created_at=now
            )
            outbox.add((version,))
        account = Account(chosen.limits())
        run = Run(
            record=record,
            workflow=workflow,
            ledger=self.ledger,
            clock=self.clock,
            account=account,
            kept=kept_accounts(chosen, account),
            seconds=chosen.seconds,
            budget=chosen,
            outbox=outbox,
            journal=RunJournal(),
            breakers=self.breakers,
            admission=self.admission,
            retries=self.retries if tape is None else Earned(20.0),
            hedges=self.hedges,
            spending=None,
            cache=self.cache,
            targets_of=self.targets_of,
            charges=self.charges,
            tape=tape,
            embed=embed,
            ask_judge=ask_judge,
            walk=self._walk,
            pause=Pause,
            vault=Vault.of(record, self.ledger, self.token_key),
            control_flow=(GraphBubbleUp,),
            listener=listener,
            bundle_hash=record.bundle_payload,
            last_seq=before(record.fence),
        )
        if taken is not None:
            seed(run, taken)
        limits = () if tape is not None and tape.mode == "recorded" else self.spend_limits  # it spends nothing
        run.spending = Spending.of(self.ledger, self.clock, record, limits, run.account)
        return run

    async def _supervise(self, run: Run, work: Work, cancel: Cancellation) -> RunResult:
        """Do the work of a run in a task of its own, which others may cancel, and write down how it ended."""
        began = self.clock.monotonic_ns()
        cancel.task = asyncio.create_task(self._in_time(run, work))
        output: Mapping[str, Any] = {}
        error: EngineError | None = None
        try:
            output = await cancel.task
        except asyncio.CancelledError:
            run.record.status = RunStatus.CANCELLED
            caller = asyncio.current_task()
            if caller is not None and caller.cancelling():
                with suppress(EngineError):  # whoever cancelled hears of that, whatever the ledger says
                    await asyncio.shield(self._finish(run, began, {}, None))
                raise
            return await asyncio.shield(self._finish(run, began, {}, None))
        except RunBusy:
            raise  # it has begun elsewhere, and ends there
        except LeaseLost:
            self.ledger.let_go(run.outbox)  # whoever has the run now says how it ends
            raise
        except EngineError as ended:
            error = ended
        except Exception as raised:
            error = NodeFailed(f"the run stopped: {type(raised).__name__}: {raised}")
            error.__cause__ = raised
        return await self._finish(run, began, output, error)

    async def _in_time(self, run: Run, work: Work) -> Mapping[str, Any]:
        """Do the work within what is left of the budget's seconds."""
        IN_FORCE.set(run.outbox.redaction)  # in the task of this run alone
        seconds = run.seconds
        left = None if seconds is None else max(seconds - run.worked_ns / 1e9, 0.0)
        run.ends_ns = None if left is None else self.clock.monotonic_ns() + int(left * 1e9)
        return await in_time(
            work(),
            left,
            lambda: BudgetExceeded(
                f"the run took longer than the {seconds:g} seconds of its budget: "
                "raise the workflow's Budget(seconds=...)"
            ),
        )

    async def _from_input(
        self, run: Run, given: Mapping[str, Any], state: dict[str, Any], cancel: Cancellation
    ) -> Mapping[str, Any]:
        """Guard the input, write down that the run begins, and run the graph; what is not accepted is not lost."""
        entered = run.redacted({name: state[name] for name in given})
        if run.workflow.guard_input:
            entered = dict(await guarded(run, run.workflow.guard_input, entered, Stage.RUN_INPUT))
        run.record.input_payload = run.keep(entered)
        admitting = asyncio.ensure_future(self.ledger.admit(run.record, run.outbox, cancel))
        try:
            await asyncio.shield(admitting)
        finally:  # whoever cancels now must know whether it has begun
            await admitting
            run.is_admitted = True
            self.knows(run.workflow)
            self._tell_start(run)
        return await self._through_graph(run, {**state, **entered, COUNTS: {}})

    async def _onwards(self, run: Run) -> Mapping[str, Any]:
        """Run the graph from the last checkpoint; a run that has none yet starts from its input."""
        self._tell_start(run)
        config = self._config(run)
        found = await self.ledger.checkpoints.aget_tuple(config) if run.outbox.has_checkpoint else None
        if found is not None:
            run.outbox.values = found.checkpoint["channel_values"]
            return await self._through_graph(run, wake(run.outbox.values), EarlyEnds(ends_before(found)))
        address = run.record.input_payload
        entered: Mapping[str, Any] = {} if address is None else await self.ledger.value(address)
        run.outbox.is_new = True
        return await self._through_graph(run, {**default_state(run.workflow.state), **entered, COUNTS: {}})

    async def _through_graph(self, run: Run, given: Any, ends: EarlyEnds | None = None) -> Mapping[str, Any]:
        """Run the graph, from a state or from its checkpoint, and guard what it returns."""
        workflow = run.workflow
        try:
            graph, config = self._compile(workflow).graph, self._config(run)
            scope = Scope(run=run, workflow=workflow, account=run.account, kept=run.kept, ends=ends or EarlyEnds())
            is_over = False
            while not is_over:
                with apart():
                    async for _ in graph.astream(given, config, context=scope, durability="sync", stream_mode=[]):
                        pass  # nothing is streamed: what the run came to is in its last checkpoint
                given = wake(run.outbox.values, scope.waits)  # one that waited when an earlier process ended
                is_over = given is None
        except (EngineError, TimeoutError):
            raise
        except Exception as error:
            raise NodeFailed(f"the graph stopped: {type(error).__name__}: {error}") from error
        if scope.waits:
            run.is_waiting, run.waits_for = True, scope.waits_for
            return {}
        values = {**default_state(workflow.state), **run.outbox.values}
        returned = {name: values[name] for name in workflow.output or workflow.state.model_fields}
        if workflow.guard_output:
            returned = dict(await guarded(run, workflow.guard_output, returned, Stage.RUN_OUTPUT))
        return returned

    def _config(self, run: Run) -> dict[str, Any]:
        return {
            "recursion_limit": self._compile(run.workflow).max_steps,
            "configurable": {"thread_id": run.record.run_id, OUTBOX: run.outbox},
        }

    async def _walk(self, scope: Scope, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run the graph of a sub-workflow; it keeps no checkpoint, since the ledger has every step that finished."""
        compiled = self._compile(scope.workflow, keeps=False)
        config = {"recursion_limit": compiled.max_steps}
        with apart():
            return await compiled.graph.ainvoke({**state, COUNTS: {}}, config, context=scope)

    def _compile(self, workflow: Workflow, *, keeps: bool = True) -> CompiledWorkflow:
        """Compile a workflow, once for runs, which keep checkpoints, and once for steps that it runs inside of."""
        key = workflow.version, keeps
        if key not in self._compiled:
            self._compiled[key] = compile_workflow(workflow, self.ledger.checkpoints if keeps else None)
        return self._compiled[key]

    async def _see_to_next_nodes(self, workflow: Workflow, run_id: str) -> None:
        """Refuse a run whose next node is gone."""
        found = await self.ledger.checkpoints.aget_tuple({"configurable": {"thread_id": run_id}})
        refuse_gone_nodes(run_id, next_nodes(found) if found else (), workflow)

    async def _finish(self, run: Run, began: int, output: Mapping[str, Any], error: EngineError | None) -> RunResult:
        record = run.record
        record.ended_at = self.clock.now()
        record.duration_ns = run.worked_ns + self.clock.monotonic_ns() - began
        record.cost_nano_usd = run.cost_nano_usd if run.cost_known else None
        if error is not None:
            record.status = status_of(error)
            record.error_type, record.error_message = type(error).__name__, run.redacted(str(error))
            record.error_node = run.failed_node
        elif record.status is RunStatus.CANCELLED:
            record.error_type, record.error_message = "Cancelled", "the run was cancelled"
        elif run.is_waiting:
            record.status = RunStatus.WAITING if run.waits_for else RunStatus.QUEUED
        else:
            record.status = RunStatus.SUCCEEDED
            record.output_payload = run.keep(dict(output))
        if record.status in (RunStatus.WAITING, RunStatus.SUCCEEDED, RunStatus.BLOCKED):
            withdraw(run)
        run.write(guard_times(run))
        if not run.is_admitted:
            await self.ledger.admit(record, run.outbox, lambda: None)
        if run.last_seq == before(record.fence):
            self._tell_start(run)  # it ended before it had begun
        await self.ledger.finish(record, run.outbox, again_at=next_look(run))
        with suppress(StoreError):  # then it is settled when somebody needs what it holds
            await run.spending.settle()
        result = RunResult.of(record, await run.vault.restored(dict(output)))
        run.tell(run_finished, record, run.next_seq(), result)
        return result

    def _tell_start(self, run: Run) -> None:
        run.tell(run_started, run.record, run.next_seq(), cast("datetime", run.record.claimed_at))
