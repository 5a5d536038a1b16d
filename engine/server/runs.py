"""Runs over HTTP: queued, listed, looked at, cancelled and queued again."""

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Response

from engine.app import App
from engine.errors import ConfigurationError, InputError, RunBusy
from engine.records import RunRecord, RunStatus
from engine.reports.cost import cost_by
from engine.runtime.enqueue import QueuePlace
from engine.server.callers import Key, Reader, RunId, Writer, run_of, tenant_of
from engine.server.problems import refused
from engine.server.views import (
    CostView,
    Moment,
    Name,
    RunAsked,
    RunCost,
    RunPage,
    RunView,
    RunWithOutput,
    StepPage,
    StepView,
)
from engine.server.watch import GOES_ON, Watch

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_TIME_DIGITS = 13  # hex digits of the microseconds since 1970, until the year 2112

Wait = Annotated[
    int, Query(ge=0, le=60, description="Seconds to wait for the run to end or to ask a person; 0: do not wait.")
]
Cursor = Annotated[
    str | None, Query(pattern=f"^[0-9a-f]{{{_TIME_DIGITS + 32}}}$", description="`next` of the page before.")
]
Limit = Annotated[int, Query(ge=1, le=500)]
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Runs:
    """The addresses under /v1/runs."""

    app: App
    watch: Watch

    def add_to(self, router: APIRouter) -> None:
        """Add the addresses."""
        accepted: dict[int | str, dict[str, Any]] = {
            202: {"model": RunWithOutput, "description": "It is queued or worked on."}
        }
        add = router.add_api_route
        add("/runs", self.enqueue, methods=["POST"], responses=accepted, summary="Queue a run")
        add("/runs", self.page, methods=["GET"], summary="List runs")
        add("/runs/{run_id}", self.show, methods=["GET"], summary="Look at a run")
        add("/runs/{run_id}/steps", self.steps, methods=["GET"], summary="List the steps of a run")
        add("/runs/{run_id}/cost", self.cost, methods=["GET"], summary="Say what a run cost")
        add("/runs/{run_id}/cancel", self.cancel, methods=["POST"], summary="End a run")
        add(
            "/runs/{run_id}/requeue",
            self.requeue,
            methods=["POST"],
            status_code=202,
            summary="Queue a run again that has stopped",
        )

    async def enqueue(
        self, asked: RunAsked, response: Response, caller: Writer, idempotency_key: Key = None, wait: Wait = 0
    ) -> RunWithOutput:
        """Queue a run, and give it: 202 while it is in progress, 200 when it has ended or waits for a person."""
        tenant = tenant_of(caller, asked.tenant)
        if asked.workflow not in self.app.workflows:
            raise refused(422, f"there is no workflow {asked.workflow!r}: GET /v1/workflows lists them")
        place = QueuePlace(queue=asked.queue, priority=asked.priority, at=asked.at)
        run = await self._enqueued(asked, tenant, place, idempotency_key)
        run = await self.watch.until_still(run, wait)
        response.headers["Location"] = f"/v1/runs/{run.run_id}"
        response.status_code = 202 if run.status in GOES_ON else 200
        return await self._view(run)

    async def page(
        self,
        caller: Reader,
        status: RunStatus | None = None,
        workflow: Annotated[Name | None, Query()] = None,
        tenant: Annotated[Name | None, Query(description="Only for a token of every tenant.")] = None,
        since: Annotated[Moment | None, Query(description="Only runs that began since.")] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> RunPage:
        """List the runs that the token may know of, newest first."""
        chosen = tenant_of(caller, tenant)
        found = await self.app.ledger.runs(
            status=status,
            workflow=workflow,
            tenant=chosen,
            untenanted=chosen is None and not caller.is_admin,
            since=since,
            limit=limit + 1,
            before=None if cursor is None else _place(cursor),
        )
        shown = found[:limit]
        following = _cursor(shown[-1]) if len(found) > limit else None
        return RunPage(runs=[RunView(**RunView.fields_of(run)) for run in shown], next=following)

    async def show(self, run_id: RunId, caller: Reader, wait: Wait = 0) -> RunWithOutput:
        """Give a run as it stands, or as it stands when it has ended, waits for a person, or the time is up."""
        run = await run_of(self.app, run_id, caller)
        return await self._view(await self.watch.until_still(run, wait))

    async def steps(
        self, run_id: RunId, caller: Reader, offset: Annotated[int, Query(ge=0, le=10**9)] = 0, limit: Limit = 200
    ) -> StepPage:
        """List the visits of nodes, in the order in which they began; a step is there when it has ended."""
        await run_of(self.app, run_id, caller)
        found = (await self.app.ledger.steps(run_id))[offset:]
        following = offset + limit if len(found) > limit else None
        return StepPage(steps=[StepView.of(step) for step in found[:limit]], next=following)

    async def cost(self, run_id: RunId, caller: Reader) -> RunCost:
        """Add up what the run's calls cost, by node and model, the dearest first."""
        run = await run_of(self.app, run_id, caller)
        rows = await cost_by(self.app.ledger, ["node", "model"], run_id=run_id)
        total = RunView.fields_of(run)["cost_usd"]
        return RunCost(run_id=run_id, cost_usd=total, rows=[CostView(**row.to_json()) for row in rows])

    async def cancel(self, run_id: RunId, caller: Writer) -> RunWithOutput:
        """End a run, whichever process has it; answered when it has ended."""
        run = await run_of(self.app, run_id, caller)
        return await self._view(await _allowed(self.app.cancel(run.run_id)))

    async def requeue(self, run_id: RunId, caller: Writer) -> RunWithOutput:
        """Queue a run that stopped short of its end; a worker goes on with it from its last checkpoint."""
        run = await run_of(self.app, run_id, caller)
        return await self._view(await _allowed(self.app.requeue(run.run_id)))

    async def _enqueued(self, asked: RunAsked, tenant: str | None, place: QueuePlace, key: str | None) -> RunRecord:
        """Queue a run; where another request with the same key was quicker, its run is given."""
        queue = partial(
            self.app.enqueue,
            asked.workflow,
            asked.input,
            tenant=tenant,
            user=asked.user,
            conversation_id=asked.conversation_id,
            place=place,
            key=key,
        )
        try:
            return await queue()
        except RunBusy:
            if key is None:
                raise
            return await queue()

    async def _view(self, run: RunRecord) -> RunWithOutput:
        return RunWithOutput(**RunView.fields_of(run), output=await self.app.output_of(run))


async def _allowed(doing: Awaitable[Found]) -> Found:
    """Do something with a run.

    Raises:
        HTTPException: it does not stand in a way that allows it.
    """
    try:
        return await doing
    except (InputError, ConfigurationError) as error:
        raise refused(409, str(error)) from error


def _cursor(run: RunRecord) -> str:
    return f"{(run.started_at - _EPOCH) // _US:0{_TIME_DIGITS}x}{run.run_id}"


def _place(cursor: str) -> tuple[datetime, str]:
    return _EPOCH + int(cursor[:_TIME_DIGITS], 16) * _US, cursor[_TIME_DIGITS:]
