"""What undisturbed runs of the same input come to, and so what a killed one must come to as well."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.chaos.facts import RunFacts
from engine.records import RunStatus

Action = tuple[str, str]
"""What is done where: the node, and the hash of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is the same in every undisturbed run of an input; what is not (a ticket's number, say) is not expected.

    Attributes:
        status: how they ended; None if they ended differently.
        path: the visits that they made; None if they went different ways.
        output: the fields in which they agree.
        actions: how often each action was done in one run, where that is more than once.
    """

    status: RunStatus | None = None
    path: list[tuple[str, int]] | None = None
    output: Mapping[str, Any] = field(default_factory=dict[str, Any])
    actions: Mapping[Action, int] = field(default_factory=dict[Action, int])

    @classmethod
    def of(cls, runs: Sequence[RunFacts]) -> "Expected":
        """Learn it from undisturbed runs of one input."""
        statuses = {run.record.status for run in runs if run.record is not None}
        paths = [run.path for run in runs]
        first = runs[0].output
        return cls(
            status=statuses.pop() if len(statuses) == 1 else None,
            path=paths[0] if all(path == paths[0] for path in paths) else None,
            output={name: value for name, value in first.items() if all(run.output.get(name) == value for run in runs)},
            actions=_most(runs),
        )


def actions_done(run: RunFacts) -> Counter[Action]:
    """Count the actions that may happen once and were seen to be done."""
    return Counter((seen.node, seen.request) for seen in run.seen if seen.what == "answered" and seen.effect == "once")


def _most(runs: Sequence[RunFacts]) -> dict[Action, int]:
    most: Counter[Action] = Counter()
    for run in runs:
        most |= actions_done(run)
    return {action: times for action, times in most.items() if times > 1}
