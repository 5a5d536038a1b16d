"""Many recorded runs again: what that will cost, then the replays themselves, side by side; a killed one goes on."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from engine.definition.policies import Budget
from engine.definition.workflow import Workflow
from engine.errors import InputError
from engine.records import CallRecord, RunRecord, RunStatus
from engine.replay.changes import Changes
from engine.replay.estimate import Estimate, Expected, Reach, expected, together
from engine.replay.grants import Grants
from engine.replay.replays import Replayed, Replays
from engine.replay.table import BatchTable
from engine.replay_records import BatchReplayRecord, ReplayBatchRecord
from engine.reports.usual_usage import usual_usage
from engine.store import replay_batches
from engine.store.replay_batches import Selection
from engine.usage import NANO_PER_USD, Usage

Told = Callable[[BatchReplayRecord], None]
"""Is told what became of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HowToReplay:
    """How the runs of a batch are replayed.

    Attributes:
        settings: what is other than it was, as `--set` takes it.
        recorded: whether nobody is asked.
        since: the node from which on everything is asked anew.
        state: fields that hold something else from there on.
        version: which version of the workflow is run; the app's own if not given.
        live_effects: whether tools that act once may be called.
    """

    settings: tuple[str, ...] = ()
    recorded: bool = False
    since: str | None = None
    state: Mapping[str, Any] = field(default_factory=dict[str, Any])
    version: str | None = None
    live_effects: bool = False

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "HowToReplay":
        """Read what `to_json` wrote."""
        fields: dict[str, Any] = {**plain, "settings": tuple(plain["settings"])}
        return cls(**fields)

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON; texts of files stand in their place."""
        return asdict(self) | {"state": dict(self.state), "settings": list(self.changes.settings)}

    @property
    def changes(self) -> Changes:
        """What is other than it was."""
        return Changes.of(self.settings)


class ReplayBatches(Replays):
    """The part of an app that replays many runs."""

    async def select_runs(self, selection: Selection) -> list[RunRecord]:
        """Give the runs of a selection that can be replayed, the oldest first.

        Raises:
            InputError: a condition is none.
        """
        return await self.ledger.read(lambda connection: replay_batches.selected(connection, selection))

    async def changed_workflow(self, name: str, how: HowToReplay) -> Workflow:
        """Give the workflow that a batch runs.

        Raises:
            InputError: there is no such version, or a change is for what is not there.
            DefinitionError: the changed workflow is not valid.
        """
        workflow = self.workflow(name) if how.version is None else await self.workflow_of(how.version)
        return how.changes.applied_to(workflow)

    async def replay_as(
        self,
        how: HowToReplay,
        run_id: str,
        workflow: Workflow,
        *,
        budget: Budget | None = None,
        new_run_id: str | None = None,
    ) -> Replayed:
        """Replay one run, as `replay` does, the way that a batch would; the workflow has been changed already."""
        return await self.replay(
            run_id,
            recorded=how.recorded,
            since=how.since,
            state=how.state,
            workflow=workflow,
            live_effects=how.live_effects,
            stubs=how.changes.stubs,
            budget=budget,
            new_run_id=new_run_id,
        )

    async def estimate(self, runs: Sequence[RunRecord], how: HowToReplay) -> Estimate:
        """Say what replays will ask and cost, from what the runs asked; nobody is asked for it.

        Raises:
            InputError: the runs are of several workflows, or as in `changed_workflow`.
        """
        if how.recorded or not runs:
            return together([(Expected(), Expected())] * len(runs))
        workflow = await self.changed_workflow(_workflow_of(runs), how)
        usual = await self.ledger.read(lambda connection: usual_usage(connection, workflow.name))
        reaches: dict[tuple[str, str | None], Reach] = {}
        async with self.with_models(how.changes.models) as cast:

            def price(role: str, usage: Usage) -> int | None:
                asked = cast.models_of(role)[0]
                return cast.charges.cost(asked, usage, self.clock.now())[0]

            found: list[tuple[Expected, Expected]] = []
            for run in runs:
                based = run.version, run.bundle_payload
                if based not in reaches:
                    reaches[based] = await cast.reach(run, workflow, how.since)
                calls = await self.ledger.calls(run.run_id)
                steps = await self.ledger.steps(run.run_id)
                found.append(expected(reaches[based], steps, calls, usual, price))
        return together(found)

    async def reach(self, run: RunRecord, workflow: Workflow, since: str | None) -> Reach:
        """Give what is reached by the changes between what a run ran and a workflow."""
        changed = set(await self.changed_nodes(run, workflow))
        changed |= {since.partition("#")[0]} if since else set()
        definition = await self.ledger.definition(run.version)
        return Reach.of(workflow, definition, changed)

    async def begin_replays(self, runs: Sequence[RunRecord], how: HowToReplay, about: str = "") -> ReplayBatchRecord:
        """Write down which runs are to be replayed, and how.

        Raises:
            InputError: there is no run, they are of several workflows, or as in `changed_workflow`.
        """
        name = _workflow_of(runs)
        await self.changed_workflow(name, how)  # what is wrong with it is said before anything is written
        batch = ReplayBatchRecord(
            batch_id=self.clock.new_run_id()[-12:],
            workflow=name,
            about=about,
            settings=how.to_json(),
            runs=[run.run_id for run in runs],
            began_at=self.clock.now(),
        )
        await self.ledger.change(lambda connection: replay_batches.begin(connection, batch))
        return batch

    async def replays(self, batch_id: str) -> BatchTable:
        """Give a batch of replays and what became of its runs so far.

        Raises:
            InputError: there is no such batch.
        """
        batch = await self.ledger.read(lambda connection: replay_batches.batch_of(connection, batch_id))
        rows = await self.ledger.read(lambda connection: replay_batches.done(connection, batch.batch_id))
        return BatchTable(batch, rows)

    async def replay_all(
        self,
        batch_id: str,
        *,
        concurrency: int = 8,
        max_usd: str | None = None,
        on_done: Told | None = None,
    ) -> BatchTable:
        """Replay the runs of a batch that were not yet; what an earlier process had begun goes on.

        Args:
            batch_id: the batch, or a beginning of its id.
            concurrency: how many at once.
            max_usd: what all of them together may cost, those before included; no call that could pass it is made.
            on_done: is told of each run.

        Raises:
            InputError: there is no such batch.
            ConfigurationError: a model of the workflow cannot be asked.
            DefinitionError: what it may cost is no amount.
        """
        known = await self.replays(batch_id)
        batch, rows = known.batch, list(known.rows)
        how = HowToReplay.of(batch.settings)
        workflow = await self.changed_workflow(batch.workflow, how)
        over = {one.run_id for one in rows}
        left = deque(run_id for run_id in batch.runs if run_id not in over)
        grants = None if max_usd is None else await self._grants(batch, max_usd)

        async def work(app: "ReplayBatches") -> None:
            while left:
                run_id = left.popleft()
                row = await app._replay_one(batch.batch_id, run_id, how, workflow, grants)
                if row is None:  # what may be spent is spent
                    left.clear()
                    return
                await self.ledger.change(lambda connection, row=row: replay_batches.note(connection, row))
                rows.append(row)
                if on_done is not None:
                    on_done(row)

        async with self.with_models(how.changes.models) as cast:
            works = [asyncio.create_task(work(cast)) for _ in range(min(concurrency, len(left)))]
            try:
                await asyncio.gather(*works)
            finally:  # what fails ends the others too; their runs go on with the batch
                for one in works:
                    one.cancel()
                await asyncio.gather(*works, return_exceptions=True)
        if len(rows) == len(batch.runs):
            now = self.clock.now()
            await self.ledger.change(lambda connection: replay_batches.end(connection, batch.batch_id, now))
        return BatchTable(batch, rows)

    async def _grants(self, batch: ReplayBatchRecord, max_usd: str) -> Grants:
        ids = [_new_run_id(batch.batch_id, run_id) for run_id in batch.runs]
        spent = await self.ledger.read(lambda connection: replay_batches.spent(connection, ids))
        return Grants(Budget(usd=max_usd).limits().nano_usd or 0, spent)

    async def _replay_one(
        self, batch_id: str, run_id: str, how: HowToReplay, workflow: Workflow, grants: Grants | None
    ) -> BatchReplayRecord | None:
        """Replay a run and say what became of it; None if nothing is left to grant it."""
        new_run_id = _new_run_id(batch_id, run_id)
        before = await self.ledger.run(run_id)
        own = workflow.budget if before.budget_payload is None else Budget.model_validate_json(before.budget_payload)
        budget: Budget | None = None
        if grants is not None and not how.recorded:
            granted = await grants.take(new_run_id, own.limits().nano_usd)
            if granted is None:
                return None
            budget = own.model_copy(update={"usd": f"{granted / NANO_PER_USD:.9f}"})
        spent: int | None = None
        try:
            replayed = await self.replay_as(how, run_id, workflow, budget=budget, new_run_id=new_run_id)
            spent = _charged(call for call in replayed.calls if call.cost_source != "recorded")
        finally:
            if grants is not None:
                await grants.put_back(new_run_id, spent)
        if (
            budget is not None
            and replayed.result.status is RunStatus.BUDGET_EXCEEDED
            and budget.limits() != own.limits()
        ):
            return None  # its grant ended it, so nothing is known of it
        return _row(batch_id, replayed)


def _workflow_of(runs: Sequence[RunRecord]) -> str:
    names = sorted({run.workflow for run in runs})
    if len(names) != 1:
        found = f"runs of {', '.join(names)} are" if names else "no run is"
        raise InputError(f"{found} selected: choose runs of one workflow, as with --workflow NAME")
    return names[0]


def _new_run_id(batch_id: str, run_id: str) -> str:
    """Name the replay of a run in a batch, so that whoever goes on with the batch finds it."""
    return hashlib.sha256(f"{batch_id}\0{run_id}".encode()).hexdigest()[:32]


def _charged(calls: Iterable[CallRecord]) -> int:
    return sum(call.charged_nano_usd for call in calls)


def _row(batch_id: str, replayed: Replayed) -> BatchReplayRecord:
    before = replayed.calls_before
    live = [call for call in replayed.calls if call.cost_source != "recorded"]
    costs = [call.cost_nano_usd for call in live]
    known = [cost for cost in costs if cost is not None]
    return BatchReplayRecord(
        batch_id=batch_id,
        run_id=replayed.before.run_id,
        replay_run_id=replayed.result.run_id,
        verdict=replayed.verdict,
        difference=replayed.difference,
        played=replayed.played,
        live=replayed.live,
        spent_nano_usd=sum(known) if len(known) == len(costs) else None,
        cost_before_nano_usd=_charged(before),
        cost_after_nano_usd=_charged(replayed.calls),
        calls_before_ns=sum(call.duration_ns or 0 for call in before),
        calls_after_ns=sum(call.duration_ns or 0 for call in replayed.calls),
    )
