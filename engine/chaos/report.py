"""The report of a campaign: how much was killed, and the verdict."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from engine.chaos.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a campaign did and found.

    Attributes:
        runs: how many runs were begun in lives that were killed.
        undisturbed: how many were run before, to learn what a run comes to.
        kills: how many lives were killed, by the point they had reached, or at a random moment.
        lives: how many processes there were in all.
        boundaries: at how many boundaries a run can be killed, over all inputs.
        swept: at how many of them one was.
        seconds: how long it took.
    """

    workflow: str
    version: str
    seed: int
    runs: int
    undisturbed: int
    kills: Mapping[str, int] = field(default_factory=dict[str, int])
    lives: int = 0
    boundaries: int = 0
    swept: int = 0
    verdict: Verdict = field(default_factory=Verdict)
    seconds: float = 0.0

    @property
    def killed(self) -> int:
        """How many lives were killed in all."""
        return sum(self.kills.values())

    @property
    def is_clean(self) -> bool:
        """Whether every figure that must be zero is."""
        return not self.verdict.findings

    def to_json(self) -> dict[str, Any]:
        """Give the object that `flowledger chaos --json` prints."""
        verdict = self.verdict
        return {
            "workflow": self.workflow,
            "version": self.version,
            "seed": self.seed,
            "kills": self.killed,
            "kills_by_point": dict(sorted(self.kills.items())),
            "lives": self.lives,
            "runs": self.runs,
            "undisturbed": self.undisturbed,
            "boundaries": self.boundaries,
            "swept": self.swept,
            "statuses": dict(sorted(verdict.statuses.items())),
            **verdict.zeros,
            "in_flight_at_a_kill": verdict.cut,
            "sent_again": verdict.sent_again,
            "settled_by_probe": verdict.by_probe,
            "settled_by_witness": verdict.by_witness,
            "left_to_a_person": verdict.guessed,
            "findings": [asdict(finding) for finding in verdict.findings],
            "seconds": round(self.seconds, 1),
        }
