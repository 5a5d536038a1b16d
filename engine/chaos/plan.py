"""When a life is to end: at every commit boundary in turn, then at points and moments that a seed draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from engine.crash_points import POINTS

_MOST_TOGETHER = 4  # runs in one life, so that their commits are grouped


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """Where a life ends: when it reaches a point for the so-manieth time, or so many seconds after it began to work."""

    point: str | None = None
    number: int = 1
    after_s: float | None = None

    @property
    def kind(self) -> str:
        """The point, or that it was a moment."""
        return self.point or "at a random moment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What one child process is to do: go on with these runs until they end, or it is killed."""

    runs: Sequence[str]
    kill: Kill | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Undisturbed:
    """What a life without a kill came to: how often one run of an input reaches each point, and how long it works."""

    reached: Mapping[str, int]
    worked_s: float


def boundaries(undisturbed: Undisturbed) -> list[Kill]:
    """Give a kill at every boundary of a run: before and after each commit, each send and each answer."""
    return [
        Kill(point=point, number=number)
        for point in POINTS
        for number in range(1, undisturbed.reached.get(point, 0) + 1)
    ]


@dataclass(slots=True)
class Draw:
    """Draws kills and which runs share a life; the same seed draws the same."""

    random: Random
    typical: Sequence[Undisturbed]

    def together(self, unfinished: Sequence[str]) -> list[str]:
        """Choose the runs of the next life."""
        most = min(_MOST_TOGETHER, len(unfinished))
        return self.random.sample(list(unfinished), self.random.randint(1, most))

    def kill(self, runs: int) -> Kill:
        """Choose where a life with so many runs ends: half the time at a point, half the time at a moment.

        Early ends are drawn more often than late ones: a run that goes on has little left to do.
        """
        share = self.random.random() ** 2
        typical = self.random.choice(self.typical)
        reached = [point for point in POINTS if typical.reached.get(point)]
        if not reached or self.random.random() < 0.5:
            return Kill(after_s=share * typical.worked_s)
        point = self.random.choice(reached)
        most = typical.reached[point] * (1 if point.endswith("commit") else runs)  # runs side by side share commits
        return Kill(point=point, number=1 + int(share * most))
