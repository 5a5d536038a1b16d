"""Watching: alarms are measured when they are due, each by one worker, and what happens is told to their sinks."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from engine.alarms.alarm import RAISED, Alarm
from engine.alarms.sinks import NotDeliveredError
from engine.controls import Controls
from engine.errors import ConfigurationError, EngineError, InputError, StoreError
from engine.monitor_records import AlarmEventRecord, AlarmRecord, DeliveryRecord
from engine.reports.measures import Measurement, measure
from engine.reports.playbook import playbook
from engine.store import alarms as stored

_ATTEMPTS = 8
_FIRST_WAIT = timedelta(seconds=5)  # then twice as long each time: about eleven minutes in all


class Watching(Controls):
    """The part of an app that watches figures of the ledger."""

    @property
    def watched(self) -> dict[str, Alarm]:
        """The alarms of the app, by name.

        Raises:
            ConfigurationError: two have the same name.
        """
        found: dict[str, Alarm] = {}
        for alarm in self.alarms:
            if alarm.name in found:
                raise ConfigurationError(f"two alarms are called {alarm.name!r}: give each a name of its own")
            found[alarm.name] = alarm
        return found

    async def check_alarms(self, *, at: datetime | None = None, is_due: bool = False) -> list[AlarmEventRecord]:
        """Measure the alarms that are due, write what happened, and tell their sinks; workers do so by themselves.

        Args:
            at: what time it is; the app's clock says it if None.
            is_due: look at all of them now, due or not.

        Returns:
            What happened: alarms that were raised or cleared by this look.

        Raises:
            ConfigurationError: two alarms have the same name.
            StoreError: the database refused.
        """
        watched, now = self.watched, at or self.clock.now()
        if not watched or not (is_due or await self.ledger.read(partial(stored.is_any_due, names=watched, now=now))):
            return []
        due = await self.ledger.change(partial(stored.claim_due, names=watched, now=now, is_due=is_due))
        found = [await self._look(watched[record.name], record, now) for record in due]
        await self._deliver(now)
        return [event for event in found if event is not None]

    async def alarm_states(self) -> list[AlarmRecord]:
        """Give how the alarms stand that workers have looked at, by name."""
        return await self.ledger.read(stored.every)

    async def alarm_events(self, name: str | None = None, *, limit: int = 50) -> list[AlarmEventRecord]:
        """Give what happened to alarms, or to one, the latest first.

        Raises:
            InputError: neither the app nor the ledger knows an alarm of this name.
        """
        found = await self.ledger.read(partial(stored.events, name=name, limit=limit))
        if not found and name is not None:
            known = {*self.watched, *(one.name for one in await self.alarm_states())}
            if name not in known:
                raise InputError(self._no_alarm(name))
        return found

    async def alarm_deliveries(self, events: Sequence[AlarmEventRecord]) -> dict[str, list[DeliveryRecord]]:
        """Give who was told of each event, or is to be, and what went wrong with that, by the event's id."""
        found: dict[str, list[DeliveryRecord]] = {event_id(event): [] for event in events}
        numbers = {(event.alarm, event.number) for event in events}
        for one in await self.ledger.read(partial(stored.deliveries, events=numbers)):
            found[event_id(one)].append(one)
        return found

    async def acknowledge_alarm(self, name: str, *, by: str | None = None, note: str | None = None) -> AlarmEventRecord:
        """Say that somebody sees to an alarm.

        Raises:
            InputError: no worker has looked at an alarm of this name yet.
        """
        return await self._say(name, "acknowledged", {}, by, note)

    async def silence_alarm(
        self, name: str, span: timedelta, *, by: str | None = None, note: str | None = None
    ) -> AlarmEventRecord:
        """Tell no sink of an alarm for some time; what happens is written down all the same. A span of 0 ends that.

        Raises:
            InputError: no worker has looked at an alarm of this name yet.
        """
        until = self.clock.now() + span
        return await self._say(name, "silenced" if span else "unsilenced", {"silenced_until": until}, by, note)

    async def _say(
        self, name: str, what: str, values: dict[str, Any], by: str | None, note: str | None
    ) -> AlarmEventRecord:
        if self.alarms and name not in self.watched:
            raise InputError(self._no_alarm(name))
        metric = self.watched[name].metric if name in self.watched else ""
        event = AlarmEventRecord(alarm=name, number=0, what=what, at=self.clock.now(), metric=metric, by=by, note=note)
        return await self.ledger.change(partial(stored.say, name=name, event=event, values=values))

    def _no_alarm(self, name: str) -> str:
        return f"the app has no alarm {name!r}; its alarms are: {', '.join(self.watched) or 'none'}"

    async def _look(self, alarm: Alarm, before: AlarmRecord, now: datetime) -> AlarmEventRecord | None:
        """Measure an alarm, and write what happened; None if nothing did."""
        values: dict[str, Any] = {"checked_at": now, "next_at": now + alarm.every, "trouble": None}
        wanted = alarm.wanted(now)
        event: AlarmEventRecord | None = None
        deliveries: list[DeliveryRecord] = []
        try:
            found = await measure(self.ledger, wanted)
            status = alarm.decide(before.status, found)
            values |= {"status": status, **_figures(found)}
            if not alarm.has_data(found):
                values["trouble"] = f"no data: {found.many:,} of at least {alarm.least:,}"
            if status != before.status:
                values["since"] = now
                levers = await playbook(self.ledger, wanted) if status == RAISED else []
                event = AlarmEventRecord(
                    alarm=alarm.name,
                    number=before.number + 1,
                    what="raised" if status == RAISED else "cleared",
                    at=now,
                    metric=alarm.metric,
                    **_figures(found),
                    runs=list(found.runs) if status == RAISED else [],
                    levers=[lever.to_json() for lever in levers],
                    note=values["trouble"],
                )
                if before.silenced_until is None or before.silenced_until <= now:
                    deliveries = [_delivery(event, place, alarm, now) for place in range(len(alarm.sinks))]
        except StoreError:
            raise
        except EngineError as error:
            values["trouble"] = str(error)
        looked = partial(stored.looked, before=before, values=values, event=event, deliveries=deliveries)
        return event if await self.ledger.change(looked) else None

    async def _deliver(self, now: datetime) -> None:
        """Send what is on its way; what does not arrive is tried again later, by whatever worker is there."""
        found = await self.ledger.change(partial(stored.claim_deliveries, names=self.watched, now=now))
        await asyncio.gather(*(self._send(delivery, event, now) for delivery, event in found))

    async def _send(self, delivery: DeliveryRecord, event: AlarmEventRecord, now: datetime) -> None:
        alarm = self.watched[event.alarm]
        place = int(delivery.sink.partition(" ")[0])
        values: dict[str, Any] = {"next_at": None}
        if place >= len(alarm.sinks) or _called(alarm, place) != delivery.sink:
            values["trouble"] = "the app has no such sink any more"
        else:
            try:
                await alarm.sinks[place].send(told(event), now.timestamp())
                values |= {"delivered_at": now, "trouble": None}
            except Exception as error:  # a sink may be anybody's: when one breaks, the others are told all the same
                known = isinstance(error, NotDeliveredError)
                values["trouble"] = str(error) if known else f"the sink broke: {type(error).__name__}"
                if not (known and error.is_final) and delivery.attempts < _ATTEMPTS:
                    values["next_at"] = now + _FIRST_WAIT * 2 ** (delivery.attempts - 1)
        await self.ledger.change(partial(stored.delivered, one=delivery, values=values))


def told(event: AlarmEventRecord) -> dict[str, Any]:
    """Give what sinks are told: the event as JSON, under an id of its own, and in a sentence."""
    value = "no value" if event.value is None else f"{event.metric} {event.value:.4g}"
    ends = f" ({_end(event.low)} to {_end(event.high)})" if (event.low, event.high) != (None, None) else ""
    lever = "".join(f"; {one['sentence']}" for one in event.levers[:3])
    text = f"alarm {event.alarm} {event.what}: {value}{ends} of {event.many:,}{lever}"
    plain = {**asdict(event), "at": event.at.isoformat()}
    return {"schema": "flowledger.alarm/1", "id": event_id(event), "text": text, **plain}


def event_id(one: AlarmEventRecord | DeliveryRecord) -> str:
    """Give the id under which sinks are told of an event."""
    return f"{one.alarm}#{one.number}"


def _end(value: float | None) -> str:
    return "?" if value is None else f"{value:.4g}"


def _figures(found: Measurement) -> dict[str, Any]:
    ends = (None, None) if found.interval is None else (found.interval.low, found.interval.high)
    low, high = (end if end is not None and math.isfinite(end) else None for end in ends)
    return {"value": found.value, "low": low, "high": high, "many": found.many}


def _called(alarm: Alarm, place: int) -> str:
    return f"{place} {alarm.sinks[place].label}"


def _delivery(event: AlarmEventRecord, place: int, alarm: Alarm, now: datetime) -> DeliveryRecord:
    return DeliveryRecord(alarm=event.alarm, number=event.number, sink=_called(alarm, place), attempts=0, next_at=now)
