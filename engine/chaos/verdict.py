"""The verdict: what was lost, paid twice, done twice, written wrongly or overspent; pure, over facts of runs.

Five figures, and none of them may be anything but zero.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.chaos.books import is_cut, mismatches, overspent
from engine.chaos.expected import Expected
from engine.chaos.facts import RunFacts
from engine.chaos.losses import lost
from engine.chaos.repeats import done_twice, paid_twice, sent_again
from engine.usage import Limits

ZEROS = {
    "runs_lost": "runs lost",
    "calls_paid_twice": "calls paid twice",
    "once_effects_repeated": "`once` effects repeated",
    "ledger_mismatches": "ledger mismatches",
    "budget_overspend": "budget overspend",
}
"""What must be zero, and how it is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault.

    Attributes:
        kind: a key of ZEROS.
        run_id: the run.
        sentence: what is wrong with it.
    """

    kind: str
    run_id: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What chaos found, and what a kill leaves behind by design.

    Attributes:
        findings: the faults; none is what is promised.
        statuses: how the runs ended.
        cut: calls that were in flight at a kill; each stays charged at its reservation.
        sent_again: those of them that were sent a second time, because nobody knows what became of the first.
        by_probe: actions of which a tool's probe said whether they were done.
        by_witness: actions of which the witness said so in place of a person.
        guessed: actions of which only a person can say so; they were made again.
    """

    findings: Sequence[Finding] = ()
    statuses: Mapping[str, int] = field(default_factory=dict[str, int])
    cut: int = 0
    sent_again: int = 0
    by_probe: int = 0
    by_witness: int = 0
    guessed: int = 0

    @property
    def zeros(self) -> dict[str, int]:
        """Count the faults of each kind."""
        found = Counter(finding.kind for finding in self.findings)
        return {kind: found[kind] for kind in ZEROS}


def judge(runs: Sequence[tuple[RunFacts, Expected]], limits: Limits) -> Verdict:
    """Judge every run by what was seen of it and by what undisturbed runs of its input come to."""
    findings: list[Finding] = []
    for run, expected in runs:
        said = {
            "runs_lost": lost(run, expected),
            "calls_paid_twice": paid_twice(run),
            "once_effects_repeated": done_twice(run, expected),
            "ledger_mismatches": mismatches(run),
            "budget_overspend": overspent(run, limits),
        }
        findings += [Finding(kind=kind, run_id=run.run_id, sentence=one) for kind, ones in said.items() for one in ones]
    calls = [call for run, _ in runs for call in run.calls]
    guessed = len({seen.call for run, _ in runs for seen in run.seen if seen.what == "guessed"})
    by_person = sum(call.resolution in ("done", "retry") for call in calls)
    return Verdict(
        findings=findings,
        statuses=Counter("missing" if run.record is None else str(run.record.status) for run, _ in runs),
        cut=sum(is_cut(call) for call in calls),
        sent_again=sum(_after_a_cut(run) for run, _ in runs),
        by_probe=sum(call.resolution == "probe" for call in calls),
        by_witness=by_person - guessed,
        guessed=guessed,
    )


def _after_a_cut(run: RunFacts) -> int:
    cut = {call.call_id for call in run.calls if is_cut(call)}
    return sum(first.call in cut for first, _ in sent_again(run, same_place=True))
