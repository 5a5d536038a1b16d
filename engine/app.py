"""App: what people and workers do with the workflows of a deployment."""

import asyncio
import re
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any

from engine.alarms.watching import Watching
from engine.batches import Batches
from engine.definition.policies import Budget
from engine.definition.workflow import Workflow
from engine.errors import InputError
from engine.evals.online import Online
from engine.ports import Taken
from engine.records import RunRecord, RunStatus
from engine.runtime.as_graph import as_graph
from engine.runtime.enqueue import DEFAULT_QUEUE, QueuePlace, RunRequest
from engine.runtime.events import Event, Listener, RunFinished
from engine.runtime.leaving import Leaving
from engine.runtime.origin import Origin
from engine.runtime.pinned import refuse_another_version
from engine.runtime.provenance import engine_version, git_commit
from engine.runtime.result import RunResult
from engine.runtime.stream import place_of
from engine.runtime.vault import Vault
from engine.schedules import Schedules
from engine.store.lanes import Lane, Wanted

_RUN_ID = re.compile("[0-9a-f]{32}")
_FINAL = (RunStatus.SUCCEEDED, RunStatus.BLOCKED, RunStatus.CANCELLED)


class App(Online, Watching, Schedules, Batches):
    """Runs, queues, resumes, replays and evaluates the workflows of a deployment, with the arguments of `Deployment`.

    The database is opened at the first run; close the app, or use it as `async with App(...) as app`.
    """

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
        found = await self.released(workflow)
        if run_id is not None and (known := await self._known(run_id, found.name)) is not None:
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

    async def claim(
        self,
        capacity: int,
        queues: Collection[str] = (DEFAULT_QUEUE,),
        workflows: Collection[str] | None = None,
        *,
        busy: Collection[Lane] = (),
        spare: int = 0,
    ) -> list[Taken]:
        """Take up to so many queued runs of these workflows, of all if none are named, to work on them here.

        Where a queue has several lanes, so many `spare` of them are only for other lanes than the `busy` ones.
        """
        wanted = Wanted(queues, await self.versions(workflows), busy, spare)
        return await self.ledger.claim(wanted, capacity, self.clock.now())

    async def go_on(self, taken: Taken, leaving: Leaving | None = None, *, heard: bool = False) -> RunResult:
        """Work on a run that was claimed; whoever sets `leaving` has it stop before its next step, queued again.

        A run that is `heard` is told to whoever listens in this process, text and all.

        Raises:
            LeaseLost: another process has the run by now.
        """
        try:
            workflow = await self.to_begin(taken.record) if not taken.has_begun else await self._own(taken.record)
            bundle = self._bundle(workflow)
        except BaseException:
            self.ledger.give_back(taken.record)
            raise
        work = partial(self._running().go_on, workflow, taken, bundle=bundle, leaving=leaving)
        return await (self._streams.tell(lambda listener: work(listener=listener)) if heard else work())

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
            return self._with_output(self._streams.attach(self.ledger, run_id or "", place))
        return self._streams.start(
            lambda listener: self.run(workflow, given, run_id=run_id, listener=listener, **options), self.ledger, place
        )

    async def _with_output(self, events: AsyncGenerator[Event]) -> AsyncGenerator[Event]:
        """Give events of the ledger as whoever began the run hears them: with the tokens of its output put back."""
        async with aclosing(events):
            async for event in events:
                if isinstance(event, RunFinished) and event.result.output:
                    record = await self.ledger.run(event.run_id)
                    output = await Vault.of(record, self.ledger, self.token_key).restored(event.result.output)
                    event = replace(event, result=replace(event.result, output=output))  # noqa: PLW2901
                yield event

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
        workflow = await self._own(record)
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

    async def _own(self, record: RunRecord) -> Workflow:
        """Give the version that a run began with, if this process can run it; else the workflow as it is here."""
        return (await self.standing()).runnable.get(record.version) or self.workflow(record.workflow)

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
        return await self.result_of(record)
