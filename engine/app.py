"""App: binds workflows, models and a database; the one place that knows all parts."""

import asyncio
import os
import re
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from typing import Any, Self

from langchain_core.language_models import BaseChatModel

from engine.definition.bounds import model_calls
from engine.definition.call_bound import CallBound
from engine.definition.policies import Budget
from engine.definition.spend_limit import SpendLimit
from engine.definition.workflow import Workflow
from engine.errors import ConfigurationError, InputError
from engine.evals.evaluation import Evaluation
from engine.evals.experiments import Experiments
from engine.models.cast import Cast
from engine.models.charges import Charges
from engine.models.prices import PriceCatalogue
from engine.models.roles import BoundModel, Model
from engine.ports import Clock, Indexer, Taken
from engine.records import RunRecord, RunStatus
from engine.runtime.as_graph import as_graph
from engine.runtime.bundle import bundle_of
from engine.runtime.clock import SystemClock
from engine.runtime.collector import settle
from engine.runtime.enqueue import DEFAULT_QUEUE, QueuePlace, RunRequest, enqueue
from engine.runtime.events import Event, Listener
from engine.runtime.leaving import Leaving
from engine.runtime.limits_for_nobody import refuse_limits_for_nobody
from engine.runtime.middleware.admission import Admission
from engine.runtime.middleware.breaker import Breakers
from engine.runtime.origin import Origin
from engine.runtime.pinned import refuse_another_version
from engine.runtime.provenance import engine_version, git_commit
from engine.runtime.rate_limit import RateLimit
from engine.runtime.result import RunResult
from engine.runtime.runner import Runner
from engine.runtime.stream import Streams, place_of
from engine.runtime.targets.model import ModelTarget
from engine.store.database import Database
from engine.store.ledger import SqlLedger
from engine.store.prices import read_prices
from engine.store.run_ledger import KeepCheckpoints
from engine.store.run_queue import Wanted

DEFAULT_DATABASE = "sqlite:///runs.db"
_RUN_ID = re.compile("[0-9a-f]{32}")
_FINAL = (RunStatus.SUCCEEDED, RunStatus.BLOCKED, RunStatus.CANCELLED)


class App(Experiments):
    """What a deployment chooses: which workflows, which model plays which role, in which database.

    FLOWLEDGER_DATABASE and FLOWLEDGER_MODEL_<ROLE> win over what is written here. The database is opened at the first
    run; close the app, or use it as `async with App(...) as app`.

    Args:
        workflows: the workflows, each under a name of its own.
        models: the model of each role: a Model, a LangChain chat model, "provider:model" or "embedded".
        database: where the ledger is: sqlite:///FILE or postgresql://...
        keep_checkpoints: the last one of each run that has not succeeded (`unfinished`), or `all`; the ledger is kept
            always.
        spend_limits: what tenants, users, workflows or the app may spend in a window of time.
        indexer: builds collections of documents for `flowledger index`.
        limits: what providers ("openai") and targets ("openai:gpt-5-mini") allow; calls wait for room.
        evaluation: how runs are evaluated: what redacts cases, and what scores which workflow.
        clock: time, ids and chance; a test brings its own.

    Raises:
        ConfigurationError: two workflows share a name, or a workflow needs a role that no model plays.
    """

    def __init__(
        self,
        *,
        workflows: Iterable[Workflow],
        models: Mapping[str, Model | str | BaseChatModel] | None = None,
        database: str = DEFAULT_DATABASE,
        keep_checkpoints: KeepCheckpoints = "unfinished",
        spend_limits: Sequence[SpendLimit] = (),
        indexer: Indexer | None = None,
        limits: Mapping[str, RateLimit] | None = None,
        evaluation: Evaluation | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.workflows: dict[str, Workflow] = {}
        for workflow in workflows:
            if workflow.name in self.workflows:
                raise ConfigurationError(f"two workflows are called {workflow.name!r}: give each a name of its own")
            self.workflows[workflow.name] = workflow
        self.models = dict(models or {})
        self.database = os.environ.get("FLOWLEDGER_DATABASE") or database
        self.keep_checkpoints: KeepCheckpoints = keep_checkpoints
        self.spend_limits = tuple(spend_limits)
        self.indexer = indexer
        self.limits = dict(limits or {})
        self.evaluation = evaluation or Evaluation()
        self.clock: Clock = clock or SystemClock()
        self.charges = Charges(PriceCatalogue())  # with the ledger's own prices, once that is open
        self._ledger: SqlLedger | None = None
        self._runner: Runner | None = None
        self._cast = Cast(self.models)
        self._streams = Streams(self.clock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def ledger(self) -> SqlLedger:
        """The ledger, opened on first use.

        Raises:
            ConfigurationError: the address of the database cannot be used.
            StoreError: the database cannot be opened.
        """
        if self._ledger is None:
            self._ledger = SqlLedger(Database.open(self.database), keep=self.keep_checkpoints)
            self.charges = Charges(PriceCatalogue(dated=read_prices(self._ledger.database)))
        return self._ledger

    def workflow(self, name: str) -> Workflow:
        """Give the workflow of a name.

        Raises:
            ConfigurationError: there is none; the message names those that there are.
        """
        if name not in self.workflows:
            known = ", ".join(sorted(self.workflows)) or "none"
            raise ConfigurationError(f"there is no workflow {name!r}; the workflows of this app are: {known}")
        return self.workflows[name]

    def models_of(self, role: str) -> Sequence[BoundModel]:
        """Give the models that play a role, the backups behind the first.

        Raises:
            ConfigurationError: none is named, or one cannot be made.
        """
        return self._cast.of(role)

    async def run(
        self,
        workflow: str,
        given: Mapping[str, Any] | None = None,
        *,
        tenant: str | None = None,
        user: str | None = None,
        conversation_id: str | None = None,
        listener: Listener | None = None,
        run_id: str | None = None,
    ) -> RunResult:
        """Run a workflow to its end and give its result; a run that fails is a result too.

        Args:
            workflow: its name.
            given: its input.
            tenant: who pays.
            user: who asks.
            conversation_id: the conversation that the run continues: it hears the turns that had ended when it began.
            listener: is told what happens while it happens.
            run_id: 32 hex digits of your own: asking again with the same id goes on with the run, or gives its result
                where it succeeded, was blocked or was cancelled.

        Raises:
            ConfigurationError: there is no such workflow, or a model of it cannot be asked.
            InputError: the input does not fit the workflow's state, or the id is another workflow's or none.
            StoreError: the ledger cannot be written.
        """
        found = self.workflow(workflow)
        if run_id is not None and (known := await self._known(run_id, workflow)) is not None:
            return known if known.status in _FINAL else await self.resume(run_id, listener=listener)
        bundle = self._bundle(found)
        origin = Origin(
            tenant=tenant,
            user_id=user,
            conversation_id=conversation_id,
            engine_version=engine_version(),
            git_commit=git_commit(),
        )
        return await self._running().run(
            found, given or {}, bundle=bundle, origin=origin, listener=listener, run_id=run_id
        )

    async def enqueue(
        self,
        workflow: str,
        given: Mapping[str, Any] | None = None,
        *,
        tenant: str | None = None,
        user: str | None = None,
        conversation_id: str | None = None,
        place: QueuePlace | None = None,
        key: str | None = None,
    ) -> RunRecord:
        """Queue a run for a worker and give its record; it is durable when this returns.

        Args:
            workflow: its name.
            given: its input; guardrails see it here, before it is stored.
            tenant: who pays.
            user: who asks.
            conversation_id: the conversation that the run continues.
            place: where it stands in line; else in the queue `default`, in the lane of its tenant.
            key: of your own: a second run with the same key, workflow and tenant is not made, the first is given.

        Raises:
            ConfigurationError: there is no such workflow, or a model of it cannot be asked.
            InputError: the input does not fit the workflow's state.
            StoreError: the ledger cannot be written.
        """
        request = RunRequest(
            given or {}, tenant=tenant, user=user, conversation_id=conversation_id, place=place, key=key
        )
        return (await self.enqueue_all(workflow, [request]))[0]

    async def enqueue_all(self, workflow: str, requests: Iterable[RunRequest]) -> list[RunRecord]:
        """Queue runs of a workflow in one transaction, and give their records in the same request."""
        found = self.workflow(workflow)
        return await enqueue(self._running(), found, requests, bundle=self._bundle(found))

    def check_models(self) -> None:
        """Make the clients of every model that a workflow needs.

        Raises:
            ConfigurationError: one cannot be made, a price is missing that a budget needs, or a limit is for nobody.
        """
        for workflow in self.workflows.values():
            self._bundle(workflow)
        self.check_limits()

    def check_limits(self) -> None:
        """See that each limit is for a model that a workflow asks.

        Raises:
            ConfigurationError: one is for nobody.
        """
        refuse_limits_for_nobody(self.limits, self.workflows.values(), self.models_of)

    async def claim(self, capacity: int, queues: Collection[str] = (DEFAULT_QUEUE,)) -> list[Taken]:
        """Take up to so many queued runs whose workflows this app has, to work on them here."""
        versions = {workflow.version for workflow in self.workflows.values()}
        return await self.ledger.claim(Wanted(queues, versions), capacity, self.clock.now())

    async def go_on(self, taken: Taken, leaving: Leaving | None = None) -> RunResult:
        """Work on a run that was claimed; whoever sets `leaving` has it stop before its next step, queued again.

        Raises:
            LeaseLost: another process has the run by now.
        """
        workflow = self.workflow(taken.record.workflow)
        try:
            bundle = self._bundle(workflow)
        except BaseException:
            self.ledger.give_back(taken.record)
            raise
        return await self._running().go_on(workflow, taken, bundle=bundle, leaving=leaving)

    def stream(
        self,
        workflow: str | None = None,
        given: Mapping[str, Any] | None = None,
        *,
        run_id: str | None = None,
        after: int | str = 0,
        **options: Any,
    ) -> AsyncGenerator[Event]:
        """Run a workflow and give its events as they come, or listen to the run of an id; the last is RunFinished.

        Whoever began the run and closes the stream early cancels it; whoever only listens may come and go.

        Args:
            workflow: its name; None to listen to a run that was begun before, in this process or another.
            given: its input.
            run_id: the run to listen to; with a workflow, as in `run`.
            after: the `cursor` or `seq` of the last event that is not wanted again.
            options: what else `run` takes.
        """
        place = place_of(after)
        if workflow is None:
            return self._streams.attach(self.ledger, run_id or "", place)
        return self._streams.start(
            lambda listener: self.run(workflow, given, run_id=run_id, listener=listener, **options), self.ledger, place
        )

    async def resume(
        self,
        run_id: str,
        *,
        accept_version: bool = False,
        take_over: bool = False,
        budget: Budget | None = None,
        listener: Listener | None = None,
    ) -> RunResult:
        """Go on with a run that crashed, failed, was cancelled or used up its budget, from its last checkpoint.

        What it had finished is not paid or done again.

        Args:
            run_id: the run, or a beginning or end of its id that fits one run only.
            accept_version: go on although the workflow or its models have changed since.
            take_over: take the run even from a process that seems to live; that one can write nothing more of it.
            budget: what the whole run may spend, if not what its workflow says.
            listener: is told what happens while it happens.

        Raises:
            InputError: there is no such run, or it has come to its end.
            RunBusy: a living process has it.
            VersionChanged: the workflow or its models have changed; the message names what.
            LeaseLost: another process took it meanwhile.
        """
        record = await self.ledger.run(run_id)
        workflow = self.workflow(record.workflow)
        bundle = self._bundle(workflow, budget)
        if not accept_version:
            await refuse_another_version(self.ledger, record, workflow, bundle)
        return await self._running().resume(
            workflow,
            record.run_id,
            bundle=bundle,
            budget=budget,
            force=take_over,
            listener=listener,
        )

    def run_sync(self, workflow: str, given: Mapping[str, Any] | None = None, **options: Any) -> RunResult:
        """Run a workflow from code that is not async, and close the app."""

        async def run() -> RunResult:
            async with self:
                return await self.run(workflow, given, **options)

        return asyncio.run(run())

    def to_langgraph(self, workflow: str, checkpointer: Any = None) -> Any:
        """Give a workflow as a compiled graph of LangGraph, to be called or to be a node of another graph.

        Its input and output are the workflow's. Each call is a run of this app, with its ledger, guardrails and budget;
        what happens in it is streamed as custom events. Where a person is asked, the graph interrupts with the
        question, and goes on with what it is resumed with: True or False where yes or no is all, else the answer.

        Raises:
            ConfigurationError: there is no such workflow.
        """
        return as_graph(self.workflow(workflow), self.run, self.questions, self.answer, checkpointer)

    def worst_case(self, workflow: Workflow) -> list[tuple[CallBound, int | None]]:
        """Give the most model calls of each node in a run, and the most they can cost (nano-USD, None: no bound)."""
        return self.charges.worst_cases(model_calls(workflow), self.models_of, self.clock.now())

    async def close(self) -> None:
        """Write what is queued, and close the database and the connections to models; the next run opens them anew."""
        await self._cast.close()
        if self._runner is not None:
            await self._runner.breakers.close()
            await self._runner.admission.close()
        ledger, self._ledger, self._runner = self._ledger, None, None
        if ledger is not None:
            await ledger.close()

    async def _known(self, run_id: str, workflow: str) -> RunResult | None:
        """Give how a run stands, if there is one of this id."""
        if not _RUN_ID.fullmatch(run_id):
            raise InputError(f"the run id {run_id!r} is not one: it has 32 hex digits, as uuid.uuid4().hex has")
        try:
            record = await self.ledger.run(run_id)
        except InputError:
            return None
        if record.workflow != workflow:
            raise InputError(f"the run {run_id} is one of {record.workflow!r}, not of {workflow!r}: give it another id")
        output: dict[str, Any] = {} if record.output_payload is None else await self.ledger.value(record.output_payload)
        return RunResult.of(record, output)

    def _running(self) -> Runner:
        if self._runner is None:
            settle()
            self._runner = Runner(
                ledger=self.ledger,
                clock=self.clock,
                targets_of=lambda role: [ModelTarget(model, self.charges) for model in self.models_of(role)],
                charges=self.charges,
                breakers=Breakers(self.clock, self.ledger),
                spend_limits=self.spend_limits,
                admission=Admission(self.clock, self.ledger, self.limits),
            )
        return self._runner

    def _bundle(self, workflow: Workflow, budget: Budget | None = None) -> dict[str, Any]:
        _ = self.ledger  # it has prices of its own
        in_usd = (
            bool(self.spend_limits)
            or (budget or workflow.budget).usd is not None
            or any(node.has_budget_in_usd for node in workflow.nodes.values())
        )
        return bundle_of(workflow, self.models_of, self.charges, self.clock.now(), in_usd=in_usd)
