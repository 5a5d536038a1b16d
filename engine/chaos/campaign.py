"""A campaign: undisturbed runs, then lives that are killed until there were enough, a quiet one, and the verdict."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from engine.app import App
from engine.chaos.expected import Expected
from engine.chaos.facts import RunFacts, gather
from engine.chaos.life import Lived, standing
from engine.chaos.nursery import Nursery
from engine.chaos.plan import Draw, Kill, Life, Undisturbed, boundaries
from engine.chaos.report import Report
from engine.chaos.verdict import Verdict, judge
from engine.chaos.witness import Witness
from engine.errors import RunError
from engine.records import RunStatus

_TIMES_UNDISTURBED = 2  # what differs between two undisturbed runs of an input is not expected of the others
_MOST_INPUTS = 20  # inputs that have undisturbed runs
_MOST_IDLE = 25  # lives in a row that neither die nor end a run: something is stuck
_QUIET_RUNS, _QUIET_TIMES = 8, 3  # runs in one life without a kill, and how often one that breaks is tried

Given = Mapping[str, Any]
Progress = Callable[[int, int], None]
"""Hears (kills so far, kills wanted)."""


@dataclass(slots=True, kw_only=True)
class Campaign:
    """Runs a workflow over and over in processes that are killed.

    Attributes:
        nursery: forks the processes.
        app: the same app, for reading the ledger afterwards.
        workflow: the workflow's name.
        inputs: what runs are given, in turn.
        runs: how many runs there are; more are begun if all have ended before there were enough kills.
        kills: how many kills there are.
        seed: what chance draws from.
    """

    nursery: Nursery
    app: App
    workflow: str
    inputs: Sequence[Given]
    witness: Witness
    runs: int
    kills: int
    seed: int
    on_progress: Progress = lambda done, wanted: None
    _given: dict[str, Given] = field(default_factory=dict[str, Given])
    _input: dict[str, int] = field(default_factory=dict[str, int])
    _unfinished: dict[str, None] = field(default_factory=dict[str, None])
    _broke: dict[str, str] = field(default_factory=dict[str, str])
    _killed: Counter[str] = field(default_factory=Counter[str])
    _lives: int = 0

    def wage(self) -> Report:
        """Do all of it.

        Raises:
            RunError: an undisturbed run does not work, so there is nothing to disturb.
            StoreError: the ledger cannot be read, or the process that forks lives is gone.
        """
        began, random = time.monotonic(), Random(self.seed)  # noqa: S311 - chance, not a secret
        undisturbed = self._leave_undisturbed()
        quiet = len(self._given)
        sweep = [(number, kill) for number, found in undisturbed.items() for kill in boundaries(found)]
        random.shuffle(sweep)
        for number in range(self.runs):
            self._begin(sweep[number][0] if number < len(sweep) else number % len(self.inputs))
        swept = self._sweep(sweep)
        self._storm(Draw(random, list(undisturbed.values())))
        self._calm()
        runs = len(self._given) - quiet
        return Report(
            workflow=self.workflow,
            version=self.app.workflow(self.workflow).version,
            seed=self.seed,
            runs=runs,
            undisturbed=quiet,
            kills=dict(self._killed),
            lives=self._lives,
            boundaries=len(sweep),
            swept=swept,
            verdict=self._judge(quiet),
            seconds=time.monotonic() - began,
        )

    def _begin(self, number: int) -> str:
        run_id = self.app.clock.new_run_id()
        self._given[run_id], self._input[run_id] = self.inputs[number], number
        self._unfinished[run_id] = None
        return run_id

    def _live(self, runs: Sequence[str], kill: Kill | None) -> Lived:
        lived = self.nursery.live(Life(runs=runs, kill=kill), self._given)
        self._lives += 1
        if lived.killed and kill is not None:
            self._killed[kill.kind] += 1
            self.on_progress(self._killed.total(), self.kills)
        for run_id in lived.ended:
            self._unfinished.pop(run_id, None)
            self._broke.pop(run_id, None)
        self._broke |= lived.broke
        return lived

    def _leave_undisturbed(self) -> dict[int, Undisturbed]:
        """Run each input a few times without a kill, and learn what such a run reaches."""
        found: dict[int, Undisturbed] = {}
        for number in range(min(len(self.inputs), _MOST_INPUTS)):
            for _ in range(_TIMES_UNDISTURBED):
                run_id = self._begin(number)
                lived = self._live([run_id], None)
                status = lived.ended.get(run_id)
                if status is None or status == RunStatus.FAILED:
                    why = lived.broke.get(run_id) or asyncio.run(_fault(self.app, run_id))
                    raise RunError(f"an undisturbed run of {self.workflow!r} does not work, so chaos cannot: {why}")
                found[number] = Undisturbed(reached=lived.reached, worked_s=lived.worked_s)
        return found

    def _sweep(self, sweep: Sequence[tuple[int, Kill]]) -> int:
        """Begin a run of its own for each boundary and kill it there; say at how many it was killed."""
        swept = 0
        for run_id, (_, kill) in zip(list(self._unfinished), sweep, strict=False):
            if self._killed.total() >= self.kills:
                break
            swept += self._live([run_id], kill).killed
        return swept

    def _storm(self, draw: Draw) -> None:
        """Kill lives of one or several runs at points and moments that chance draws."""
        idle = 0
        while self._killed.total() < self.kills and idle < _MOST_IDLE:
            unfinished = list(self._unfinished) or [self._begin(draw.random.randrange(len(self.inputs)))]
            together = draw.together(unfinished)
            lived = self._live(together, draw.kill(len(together)))
            idle = 0 if lived.killed or lived.ended else idle + 1

    def _calm(self) -> None:
        """Let what is unfinished come to its end."""
        for _ in range(_QUIET_TIMES):
            left = list(self._unfinished)
            for first in range(0, len(left), _QUIET_RUNS):
                self._live(left[first : first + _QUIET_RUNS], None)

    def _judge(self, quiet: int) -> Verdict:
        """Read what the ledger says of every run, and judge it."""
        seen = self.witness.read()
        facts = asyncio.run(gather(self.app, self._given, seen, self._broke))
        alike: dict[int, list[RunFacts]] = {}
        for run in facts[:quiet]:
            alike.setdefault(self._input[run.run_id], []).append(run)
        expected = {number: Expected.of(runs) for number, runs in alike.items()}
        pairs = [(run, expected.get(self._input[run.run_id], Expected())) for run in facts]
        return judge(pairs, self.app.workflow(self.workflow).budget.limits())


async def _fault(app: App, run_id: str) -> str:
    async with app:
        record = await standing(app, run_id)
    return "it is not in the ledger" if record is None else f"it {record.status}: {record.error_message}"
