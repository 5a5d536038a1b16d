"""One life: a child process that goes on with some runs until they end, or until it is killed in the middle of them."""

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from engine.app import App
from engine.chaos.plan import Kill, Life
from engine.chaos.witness import Seen, Witness
from engine.crash_points import listen
from engine.errors import EffectUnknown, InputError, RunBusy
from engine.records import CallRecord, RunRecord, RunStatus
from engine.runtime.answer import Answer
from engine.runtime.run import Call

TENANT = "chaos"
"""Who pays for the runs of chaos, so that they can be told from others in a database that holds more."""

_MOST_ANSWERS = 20  # actions of one run that a person is asked about in one life


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """What a life came to.

    Attributes:
        killed: whether it was killed; then nothing else is known.
        ended: the status of each run that came to an end.
        broke: what was raised in place of an end, by run.
        reached: how often each crash point was reached.
        worked_s: seconds from when the ledger was open.
        imported: modules that were imported only now.
    """

    killed: bool = False
    ended: Mapping[str, str] = field(default_factory=dict[str, str])
    broke: Mapping[str, str] = field(default_factory=dict[str, str])
    reached: Mapping[str, int] = field(default_factory=dict[str, int])
    worked_s: float = 0.0
    imported: Sequence[str] = ()


class Doom:
    """Hears of crash points: counts them, lets the witness see, and kills this process at the one it was told."""

    def __init__(self, kill: Kill | None, witness: Witness) -> None:
        self.reached: Counter[str] = Counter()
        self._kill, self._witness = kill, witness

    def __call__(self, point: str, call: Call | None, answer: Answer | None) -> None:
        """Hear of a point; who dies before a request goes out has not sent it, who dies after an answer has seen it."""
        self.reached[point] += 1
        if call is not None and answer is not None:
            self._witness.answered(call, answer)
        kill = self._kill
        if kill is not None and kill.point == point and kill.number == self.reached[point]:
            os.kill(os.getpid(), signal.SIGKILL)
        if call is not None and answer is None:
            self._witness.sent(call)


async def live(
    app: App,
    workflow: str,
    life: Life,
    inputs: Mapping[str, Mapping[str, Any]],
    witness: Witness,
    on_begin: Callable[[], None],
) -> Lived:
    """Go on with the runs of a life, side by side.

    Args:
        app: the app, not opened yet.
        workflow: its workflow.
        life: which runs, and where it ends.
        inputs: the input of each run.
        witness: sees what goes out.
        on_begin: is called when the ledger is open.
    """
    modules = set(sys.modules)
    doom = Doom(life.kill, witness)
    stop = listen(doom)
    try:
        async with app:
            await standing(app, life.runs[0])
            on_begin()
            began = time.monotonic()
            ends = await asyncio.gather(
                *(_go_on(app, workflow, run_id, inputs[run_id], witness) for run_id in life.runs),
                return_exceptions=True,
            )
            worked = time.monotonic() - began
    finally:
        stop()
    return Lived(
        ended={run_id: end for run_id, end in zip(life.runs, ends, strict=True) if isinstance(end, str)},
        broke={
            run_id: f"{type(end).__name__}: {end}"
            for run_id, end in zip(life.runs, ends, strict=True)
            if isinstance(end, BaseException)
        },
        reached=doom.reached,
        worked_s=worked,
        imported=sorted(set(sys.modules) - modules),
    )


async def standing(app: App, run_id: str) -> RunRecord | None:
    """Give how a run stands; None if the ledger has never heard of it."""
    try:
        return await app.ledger.run(run_id)
    except InputError:
        return None


async def _go_on(app: App, workflow: str, run_id: str, given: Mapping[str, Any], witness: Witness) -> str:
    """Begin a run or go on with it, and give the status that it ended with."""
    record = await standing(app, run_id)
    status = None if record is None else record.status
    if status in (None, RunStatus.RUNNING):
        try:
            status = (await app.run(workflow, given, tenant=TENANT, run_id=run_id)).status
        except RunBusy:  # the number of a dead process went to another one; no two lives are lived at once
            status = (await app.resume(run_id, take_over=True)).status
    for _ in range(_MOST_ANSWERS):
        if status is not RunStatus.NEEDS_REVIEW or (await app.ledger.run(run_id)).error_type != EffectUnknown.__name__:
            break
        await _answer_for_a_person(app, run_id, witness)
        status = (await app.resume(run_id)).status
    return str(status)


async def _answer_for_a_person(app: App, run_id: str, witness: Witness) -> None:
    """Settle the unknown actions of a run as somebody would who has seen what the witness saw."""
    calls = await app.ledger.calls(run_id)
    unknown = [call for call in calls if call.status == "unknown" and call.tool_effect == "once"]
    lines = {(seen.call, seen.what): seen for seen in witness.read()} if unknown else {}
    for call in unknown:
        answered = lines.get((call.call_id, "answered"))
        if answered is None and (call.call_id, "sent") in lines:
            witness.note(_guess(call))
        await app.resolve(run_id, call.call_id, done=answered is not None, answer=answered and answered.answer)


def _guess(call: CallRecord) -> Seen:
    return Seen(
        what="guessed",
        run=call.run_id,
        step=call.step_id,
        node=call.node_name,
        call=call.call_id,
        ordinal=call.ordinal,
        request=call.request_hash,
        operation=call.operation_name,
        effect=call.tool_effect,
        key=call.idempotency_key,
    )


def as_json(lived: Lived) -> dict[str, Any]:
    """Give what a life came to as JSON."""
    return {**asdict(lived), "reached": dict(lived.reached)}
