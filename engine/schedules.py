"""Schedules: workflows that are queued whenever a cron expression says so, once a tick over all workers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from engine.control_records import ScheduleRecord
from engine.controls import Controls
from engine.definition.timetable import Timetable
from engine.errors import EngineError, InputError, RunBusy, StoreError
from engine.records import RunRecord, RunStatus
from engine.runtime.enqueue import QueuePlace, RunRequest, accepted
from engine.store import schedules

CatchUp = Literal["skip", "latest", "all"]
Overlap = Literal["allow", "skip"]

_LATE = timedelta(minutes=1)  # a tick that is older was missed
_MOST = 1000  # runs that one schedule queues at once
_AT_WORK = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a workflow is queued, and how.

    Attributes:
        workflow: its name.
        cron: five fields: minute, hour, day of the month, month, day of the week.
        zone: whose clocks, by its IANA name; see `Timetable` for what happens when they change.
        given: the input of each run; guardrails see it now, and again whenever a run is queued.
        tenant: who pays.
        user: who asks.
        place: where its runs stand in line.
        catch_up: where no worker was there in time, by a minute or more: queue nothing (`skip`), one run for the newest
            tick (`latest`), or one for each (`all`).
        most: for how many ticks that is, the newest ones.
        overlap: whether a run is queued while the one before has not ended; `skip` lets the tick pass.
        start: from when on; now if None.

    Raises:
        InputError: one of them cannot be, in a sentence.
    """

    workflow: str
    cron: str
    zone: str = "UTC"
    given: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tenant: str | None = None
    user: str | None = None
    place: QueuePlace = field(default_factory=QueuePlace)
    catch_up: CatchUp = "latest"
    most: int = 10
    overlap: Overlap = "allow"
    start: datetime | None = None

    def __post_init__(self) -> None:
        for name, kinds in (("catch_up", CatchUp), ("overlap", Overlap)):
            if getattr(self, name) not in get_args(kinds):
                said = f"{name.replace('_', '-')} is one of {', '.join(get_args(kinds))}"
                raise InputError(f"{said}, not {getattr(self, name)!r}")
        if not 1 <= self.most <= _MOST:
            raise InputError(f"most is from 1 to {_MOST}, not {self.most}: so many runs are queued at once")
        if self.catch_up == "all" and self.overlap == "skip":
            raise InputError("a run for each tick that was missed overlaps: let catch-up be latest, or overlap allow")
        if self.place.at is not None:
            raise InputError("a schedule says itself when its runs may be taken: leave the place without `at`")
        _ = self.timetable

    @property
    def timetable(self) -> Timetable:
        """When it is due."""
        return Timetable(self.cron, self.zone)

    def request(self) -> RunRequest:
        """Give what its runs are asked for with."""
        return RunRequest(self.given, tenant=self.tenant, user=self.user, place=self.place)


class Schedules(Controls):
    """The part of an app that queues runs when their time has come."""

    async def add_schedule(self, name: str, schedule: Schedule, *, by: str | None = None) -> ScheduleRecord:
        """Have a workflow queued by whatever worker is there, from now on.

        Raises:
            ConfigurationError: there is no such workflow, or a model of it cannot be asked.
            InputError: the input does not fit the workflow's state, or there is a schedule of this name.
            GuardrailBlocked: a guardrail turns the input down.
        """
        if not name.strip():
            raise InputError("a schedule needs a name")
        workflow, now = self.workflow(schedule.workflow), self.clock.now()
        given = await accepted(self._running(), workflow, schedule.request(), bundle=self._bundle(workflow))
        begins = now if schedule.start is None else schedule.start.astimezone(UTC) - timedelta(seconds=1)
        record = ScheduleRecord(
            name=name,
            schedule_id=self.clock.new_id(),
            cron=schedule.cron,
            zone=schedule.zone,
            workflow=workflow.name,
            given=given,
            tenant=schedule.tenant,
            user_id=schedule.user,
            queue=schedule.place.queue,
            lane=schedule.place.lane,
            priority=schedule.place.priority,
            catch_up=schedule.catch_up,
            most=schedule.most,
            overlap=schedule.overlap,
            created_at=now,
            next_at=schedule.timetable.next_after(begins),
        )
        await self.ledger.change(lambda connection: schedules.add(connection, record, by))
        return record

    async def schedules(self) -> Sequence[ScheduleRecord]:
        """Give every schedule, by name."""
        return await self.ledger.read(schedules.every)

    async def schedule(self, name: str) -> ScheduleRecord:
        """Give the schedule of a name.

        Raises:
            InputError: there is none.
        """
        return await self.ledger.read(lambda connection: schedules.named(connection, name))

    async def remove_schedule(self, name: str, *, by: str | None = None) -> None:
        """Forget a schedule; runs that it queued stay.

        Raises:
            InputError: there is none of this name.
        """
        await self.ledger.change(lambda connection: schedules.remove(connection, name, by))

    async def pause_schedule(self, name: str, *, by: str | None = None) -> None:
        """Have a schedule queue nothing; ticks until it goes on are not made up for.

        Raises:
            InputError: there is none of this name.
        """
        await self.ledger.change(lambda connection: schedules.set_paused(connection, name, None, by))

    async def unpause_schedule(self, name: str, *, by: str | None = None) -> None:
        """Let a schedule go on with its next tick.

        Raises:
            InputError: there is none of this name.
        """
        found = await self.schedule(name)
        next_at = Timetable(found.cron, found.zone).next_after(self.clock.now())
        await self.ledger.change(lambda connection: schedules.set_paused(connection, name, next_at, by))

    async def fire_schedules(self, at: datetime | None = None) -> list[RunRecord]:
        """Queue the runs of every schedule whose time has come; a worker does that every second.

        Args:
            at: what time it is; what the database says if None.

        Returns:
            The runs that were queued, whichever worker was sooner.

        Raises:
            StoreError: the database refused.
        """
        names = list(self.workflows)
        if not await self.ledger.read(lambda connection: schedules.is_any_due(connection, names, at)):
            return []
        due, now = await self.ledger.change(lambda connection: schedules.claim_due(connection, names, at))
        fired: list[RunRecord] = []
        for schedule in due:
            fired += await self._see_to(schedule, now)
        return fired

    async def _see_to(self, schedule: ScheduleRecord, now: datetime) -> list[RunRecord]:
        """Queue what a schedule that is due asks for; what cannot be done now is tried again in a while."""
        values: dict[str, Any] = {"trouble": None, "claimed_until": None}
        records: list[RunRecord] = []
        try:
            values["next_at"] = Timetable(schedule.cron, schedule.zone).next_after(now)
            ticks = _ticks(schedule, now)
            if not ticks:
                values["trouble"] = "no worker was there in time"
            elif await self._is_at_work(schedule):
                values["trouble"] = f"the run {schedule.run_id} of the tick before has not ended"
            else:
                records = await self.enqueue_all(schedule.workflow, [_request(schedule, tick) for tick in ticks])
                values |= {"fired_at": ticks[-1], "run_id": records[-1].run_id}
        except RunBusy:  # another worker queues them just now
            return []
        except StoreError:
            raise
        except Exception as error:  # whatever a workflow or a guardrail does, the other schedules go on
            values = {"trouble": str(error) if isinstance(error, EngineError) else repr(error)}
        await self.ledger.change(lambda connection: schedules.seen_to(connection, schedule, values))
        return records

    async def _is_at_work(self, schedule: ScheduleRecord) -> bool:
        if schedule.overlap == "allow" or schedule.run_id is None:
            return False
        return any(run.status in _AT_WORK for run in await self.ledger.known([schedule.run_id]))


def _ticks(schedule: ScheduleRecord, now: datetime) -> list[datetime]:
    """Give the ticks for which a run is to be queued."""
    most = schedule.most if schedule.catch_up == "all" else 1
    found = Timetable(schedule.cron, schedule.zone).newest(schedule.next_at, now, most)
    return [tick for tick in found if now - tick < _LATE] if schedule.catch_up == "skip" else found


def _request(schedule: ScheduleRecord, tick: datetime) -> RunRequest:
    """Ask for the one run of a tick: its key makes it the same whoever asks."""
    return RunRequest(
        schedule.given,
        tenant=schedule.tenant,
        user=schedule.user_id,
        place=QueuePlace(queue=schedule.queue, lane=schedule.lane, priority=schedule.priority),
        key=f"schedule {schedule.schedule_id} {tick.isoformat()}",
        schedule=schedule.name,
    )
