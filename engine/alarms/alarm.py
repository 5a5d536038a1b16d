"""An alarm: a figure of the ledger, from which level on it is raised, and who is told."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from engine.alarms.sinks import Log, Sink
from engine.errors import ConfigurationError
from engine.reports.measures import METRICS, Measurement, Wanted
from engine.reports.units import WHERE

NoData = Literal["keep", "raise", "clear"]
OK, RAISED = "ok", "raised"

_OF_SCORES = ("score", "score_drift")
_OF_A_WORKFLOW = ("score_drift", "input_drift")
_LONGEST = timedelta(days=3_660)
_WITHOUT_CALLS = ("tool", "model", "node")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A figure that workers watch.

    Attributes:
        name: what it is called.
        metric: which figure, as in tool_failure_rate; see METRICS.
        above: it is raised beyond this level; or `below` it. One of both.
        clear: it is cleared when the figure is back at this level; by default where it is raised.
        where: what it is restricted to, as in {"workflow": "ask", "tool": "pay"}.
        of: the evaluator of a score, or the guardrail that blocks.
        window: how far back the figure looks.
        baseline: how far back before that it is compared with: for drift, and to say what changed.
        least: so many runs, calls or scores must be there, else there is no data.
        sure: whether all of the figure's interval (95 %) must be beyond the level.
        no_data: what happens without data: it stays as it is (`keep`), is raised or is cleared.
        every: how often it is looked at.
        sinks: who is told when it is raised and cleared.

    Raises:
        ConfigurationError: one of them cannot be, in a sentence.
    """

    name: str
    metric: str
    above: float | None = None
    below: float | None = None
    clear: float | None = None
    where: Mapping[str, str] = field(default_factory=dict[str, str])
    of: str | None = None
    window: timedelta = timedelta(minutes=15)
    baseline: timedelta = timedelta(days=1)
    least: int = 20
    sure: bool = True
    no_data: NoData = "keep"
    every: timedelta = timedelta(minutes=1)
    sinks: Sequence[Sink] = (Log(),)

    def __post_init__(self) -> None:
        if fault := self._wrong_kind() or self._fault():
            raise ConfigurationError(f"the alarm {self.name!r} {fault}")

    def _wrong_kind(self) -> str | None:
        """Say what is of another kind than it is said to be."""
        said: Any = self  # whoever writes an alarm need not check types
        levels = [one for one in (said.above, said.below, said.clear) if one is not None]
        spans = (said.window, said.baseline, said.every)
        if not isinstance(said.name, str) or not isinstance(said.metric, str):
            return f"watches {said.metric!r}: write its name and its metric as texts"
        if wrong := [one for one in levels if not isinstance(one, int | float) or not math.isfinite(one)]:
            return f"has the level {wrong[0]!r}: write a number"
        if wrong := [one for one in spans if not isinstance(one, timedelta) or one > _LONGEST]:
            return f"looks back, or again, after {wrong[0]!r}: write a timedelta of {_LONGEST.days:,} days at most"
        if not isinstance(said.where, Mapping):
            return f"is restricted by {said.where!r}: write it as in {{'workflow': 'ask'}}"
        if not isinstance(said.sinks, list | tuple) or not all(hasattr(sink, "send") for sink in self.sinks):
            return f"tells {said.sinks!r}: write a list of sinks, as in [Log()]"
        return None

    def _fault(self) -> str | None:
        """Say what cannot be."""
        needs_calls = "call" in self.metric or "tool" in self.metric
        misplaced = [name for name in self.where if name in _WITHOUT_CALLS and not needs_calls]
        faults = {
            "has no name": not self.name.strip(),
            f"watches {self.metric!r}, and can watch {', '.join(METRICS)}": self.metric not in METRICS,
            "says neither or both of `above` and `below`: one of them": (self.above is None) == (self.below is None),
            f"is cleared at {self.clear}, which is beyond the level that raises it": self._is_cleared_beyond,
            f"is restricted by {', '.join(self.where)}: write of {', '.join(WHERE)}": not {*self.where} <= {*WHERE},
            f"watches {self.metric}, which is not told apart by {', '.join(misplaced)}": bool(misplaced),
            f"watches {self.metric}: say the evaluator with `of`": self.metric in _OF_SCORES and not self.of,
            f"watches {self.metric}: say the workflow in `where`": self.metric in _OF_A_WORKFLOW
            and "workflow" not in self.where,
            "looks back for no time, or is looked at all the time": min(self.window, self.baseline, self.every)
            < timedelta(seconds=1),
            "needs at least one unit": self.least < 1,
            f"does {self.no_data!r} without data: keep, raise or clear": self.no_data not in get_args(NoData),
        }
        return next((fault for fault, is_so in faults.items() if is_so), None)

    @property
    def _is_cleared_beyond(self) -> bool:
        if self.clear is None:
            return False
        return (self.above is not None and self.clear > self.above) or (
            self.below is not None and self.clear < self.below
        )

    def wanted(self, now: datetime) -> Wanted:
        """Say what is measured now."""
        since = now - self.window
        return Wanted(
            metric=self.metric, where=self.where, of=self.of, baseline=since - self.baseline, since=since, until=now
        )

    def decide(self, status: str, found: Measurement) -> str:
        """Say how the alarm stands after a measurement, from how it stood before."""
        if not self.has_data(found) or found.value is None:
            return {"keep": status, "raise": RAISED, "clear": OK}[self.no_data]
        sign = 1.0 if self.above is not None else -1.0
        level = (self.above if self.above is not None else self.below or 0.0) * sign
        value = found.value * sign
        if status == RAISED:
            return RAISED if value > (level if self.clear is None else self.clear * sign) else OK
        nearest = value
        if self.sure and found.interval is not None:
            nearest = found.interval.low if sign > 0 else -found.interval.high
        return RAISED if min(value, nearest) > level else OK

    def has_data(self, found: Measurement) -> bool:
        """Say whether enough was measured; the lag of a queue needs nothing in it."""
        return found.value is not None and (found.many >= self.least or self.metric == "queue_lag_seconds")
