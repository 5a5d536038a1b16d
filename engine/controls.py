"""What people and other processes say about runs that there are: cancel, resolve, answer, queue again."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

from engine.control_records import ControlEventRecord
from engine.errors import RunBusy
from engine.records import BreakerRecord, CallRecord, QuestionRecord, RunRecord, RunStatus
from engine.releases import Releases
from engine.runtime.answers import check_answer, the_one
from engine.runtime.enqueue import DEFAULT_QUEUE, RunRequest, enqueue
from engine.runtime.result import RunResult
from engine.runtime.vault import Vault
from engine.store import control_events, kept_answers, queue_control, shared_breakers, spend

LimitKind = Literal["workflow", "resource"]
"""What runs of several lanes have in common."""

_CANCEL_LOOKS, _CANCEL_LOOK_SECONDS = 100, 0.05


class Controls(Releases):
    """The part of an app that runs nothing itself."""

    async def result_of(self, record: RunRecord) -> RunResult:
        """Give how a run stands, as whoever ran it heard it."""
        return RunResult.of(record, await self.output_of(record) or {})

    async def output_of(self, record: RunRecord) -> dict[str, Any] | None:
        """Give what a run returned, with its tokens put back; None as long as it has returned nothing."""
        if record.output_payload is None:
            return None
        output = await self.ledger.value(record.output_payload)
        return await Vault.of(record, self.ledger, self.token_key).restored(output)

    async def enqueue_all(self, workflow: str, requests: Iterable[RunRequest]) -> list[RunRecord]:
        """Queue runs of a workflow in one transaction, and give their records in the same request."""
        found = await self.released(workflow)
        return await enqueue(self._running(), found, requests, bundle=self._bundle(found), release=workflow)

    async def cancel(self, run_id: str, *, by: str | None = None) -> RunRecord:
        """End a run, whichever process has it, and give its record; returns when it has ended.

        What is said here and below is kept, with `by`, who says it: see `control_events`.

        Raises:
            InputError: there is no such run, or it is not running.
            RunBusy: the process that has it has not ended it within a few seconds.
        """
        record = await self.ledger.run(run_id)
        ended = await self.ledger.cancel(record.run_id, self.clock.now(), by)
        for _ in range(0 if ended else _CANCEL_LOOKS):
            record = await self.ledger.run(record.run_id)
            if record.status is not RunStatus.RUNNING:
                return record
            await asyncio.sleep(_CANCEL_LOOK_SECONDS)
        if not ended:
            raise RunBusy(f"the process that has the run {record.run_id} has not ended it yet: look again in a while")
        return await self.ledger.run(record.run_id)

    async def requeue(
        self, run_id: str, queue: str = DEFAULT_QUEUE, lane: str | None = None, *, by: str | None = None
    ) -> RunRecord:
        """Queue a run that stopped short of its end; a worker goes on with it from its last checkpoint.

        Raises:
            InputError: there is no such run, or it has come to its end.
            RunBusy: it is queued, or a living process has it.
        """
        record, now = await self.ledger.run(run_id), self.clock.now()
        version = (await self.released(record.workflow)).version
        await self.ledger.change(
            lambda connection: queue_control.requeue(connection, record.run_id, queue, lane, version, now, by)
        )
        await self.ledger.announce([record.run_id])
        return await self.ledger.run(record.run_id)

    async def pause(self, queue: str, *, by: str | None = None) -> None:
        """Have nothing taken from a queue; runs in progress go on."""
        await self.ledger.change(lambda connection: queue_control.set_paused(connection, queue, by, paused=True))

    async def unpause(self, queue: str, *, by: str | None = None) -> None:
        """Let runs be taken from a queue again."""
        await self.ledger.change(lambda connection: queue_control.set_paused(connection, queue, by, paused=False))
        await self.ledger.announce_queue(queue)

    async def limit(self, queue: str, lane: str, max_running: int | None, *, by: str | None = None) -> None:
        """Say how many runs of a lane may be worked on at once; None is any number."""
        await self.ledger.change(lambda connection: queue_control.set_limit(connection, queue, lane, max_running, by))
        await self.ledger.announce_queue(queue)

    async def limit_rate(self, queue: str, lane: str, per_second: float | None, *, by: str | None = None) -> None:
        """Say how many runs of a lane may be taken in a second, over all workers; None is any number."""
        await self.ledger.change(lambda connection: queue_control.set_rate(connection, queue, lane, per_second, by))
        await self.ledger.announce_queue(queue)

    async def limit_across(
        self, queue: str, kind: LimitKind, name: str, max_running: int | None, *, by: str | None = None
    ) -> None:
        """Say how many runs of a queue with a workflow or resource of this name may be worked on at once."""
        await self.ledger.change(
            lambda connection: queue_control.set_limit_across(connection, queue, kind, name, max_running, by)
        )
        await self.ledger.announce_queue(queue)

    async def drain_worker(self, worker_id: str, *, by: str | None = None) -> str:
        """Ask a worker to take no more, and give its id; within two seconds it begins to drain, as after SIGTERM.

        Its runs finish the steps that they are at and are queued again for others. A parent does not start it again.

        Args:
            worker_id: its id, or a beginning of it.
            by: who says so.

        Raises:
            InputError: there is no such worker, several, or it is gone.
        """
        return await self.ledger.change(lambda connection: queue_control.drain_worker(connection, worker_id, by))

    async def breakers(self) -> Sequence[BreakerRecord]:
        """Give what all processes know of the targets of calls: which are left alone, since when and why."""
        return await self.ledger.breakers()

    async def reset_breaker(self, target: str | None = None, *, by: str | None = None) -> int:
        """Have a target, or every one, asked again by every process within a second; say how many were open."""
        now = self.clock.now()
        return await self.ledger.change(lambda connection: shared_breakers.reset(connection, target, now, by))

    async def clear_cache(
        self,
        *,
        workflow: str | None = None,
        node: str | None = None,
        tenant: str | None = None,
        by: str | None = None,
    ) -> int:
        """Forget what nodes wrote; running processes hear of it within half a minute. Say how many."""
        chosen = kept_answers.Chosen(workflow=workflow, node_name=node, tenant=tenant)
        return await self.ledger.change(lambda connection: kept_answers.clear(connection, chosen, by))

    async def control_events(
        self,
        *,
        since: datetime | None = None,
        what: str | None = None,
        subject: str | None = None,
        limit: int = 50,
    ) -> Sequence[ControlEventRecord]:
        """Give what was said about runs, queues, schedules, releases, breakers and caches, the latest first.

        Args:
            since: only what was said since.
            what: only this action, as in "pause queue".
            subject: only what was said about this queue, run, schedule or target.
            limit: how many at the most.
        """
        return await self.ledger.read(
            lambda connection: control_events.said(connection, since=since, what=what, subject=subject, limit=limit)
        )

    async def spend(self) -> Sequence[Any]:
        """Give every window of time that anything was spent in: limit_key, begins_at, settled and held nano-USD."""
        return await self.ledger.read(spend.standing)

    async def resolve(self, run_id: str, call_id: str, *, done: bool, answer: Any = None) -> CallRecord:
        """Say whether an action whose outcome nobody knew was done; then the run can be resumed.

        Args:
            run_id: the run, or a beginning or end of its id.
            call_id: the call, or a beginning or end of its id.
            done: whether it was done; if not, the run does it when it goes on.
            answer: what it answered, JSON.

        Raises:
            InputError: there is no such call, or its outcome is known.
        """
        record = await self.ledger.run(run_id)
        return await self.ledger.resolve(record.run_id, call_id, done=done, answer=answer)

    async def questions(self, run_id: str) -> list[QuestionRecord]:
        """Give what a run waits for people to answer; nothing if it does not wait.

        Raises:
            InputError: there is no such run.
        """
        record = await self.ledger.run(run_id)
        if record.status is not RunStatus.WAITING:
            return []
        return [asked for asked in await self.ledger.questions(record.run_id) if asked.status == "open"]

    async def answer(
        self,
        run_id: str,
        answer: Any = None,
        *,
        refuse: bool = False,
        reason: str | None = None,
        question: str | None = None,
        digest: str | None = None,
        by: str | None = None,
    ) -> QuestionRecord:
        """Answer the question that a run waits with; then the run can be resumed.

        Args:
            run_id: the run, or a beginning or end of its id.
            answer: JSON that fits what was asked; none where yes or no is all.
            refuse: say no.
            reason: why, for the run and for the ledger.
            question: the question, or a beginning of its id, where several are open.
            digest: what the answer is about, or a beginning of it: if the question is about something else by now, the
                answer is refused.
            by: who answers.

        Raises:
            InputError: there is no such question, it is about something else, or the answer does not fit.
        """
        if self.redaction is not None:
            answer, reason = self.redaction.value(answer), self.redaction.value(reason)
        record = await self.ledger.run(run_id)
        asked = the_one(record, await self.questions(record.run_id), question, digest)
        schema = None if asked.schema_payload is None else await self.ledger.value(asked.schema_payload)
        if not refuse:
            check_answer(asked, schema, answer)
        status = "refused" if refuse else "answered"
        return await self.ledger.answer(asked, status=status, now=self.clock.now(), answer=answer, reason=reason, by=by)
