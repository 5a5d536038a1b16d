"""The gate: whether a candidate may take the place of a baseline, decided from scores alone.

PASS: no gated metric can have dropped by the margin, as sure as the level asks. FAIL: one surely dropped, and may have
dropped by the margin; or a case that must pass does not, or a hard limit is broken. INCONCLUSIVE: the trials do not
tell.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from statistics import fmean

from engine.statistics.distributions import t_quantile
from engine.statistics.intervals import clustered_mean, quantile
from engine.statistics.permutation import trials_dropped
from engine.statistics.significance import detectable, holm, wilcoxon
from engine.statistics.trials import pass_hat_k

FEWEST_CLUSTERS = 6
"""With fewer, no test at the usual levels can tell anything."""


FIRST_LOOK = 0.9
"""How much of its level a gate spends at once; the rest is left for whoever asks once more, after more trials."""


class Decision(StrEnum):
    """What the gate says."""

    PASS = "PASS"  # noqa: S105 no password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


Scores = Mapping[str, Sequence[float]]
"""By case: the score, or other figure, of each of its trials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What one experiment came to.

    Attributes:
        metrics: by metric, the scores from 0 to 1.
        judged: metrics that say something else each time they are asked.
        clusters: which cluster a case is of; else it is its own.
        must_pass: cases that must pass.
        seconds: how long runs were worked on.
        usd: what they cost; a run of unknown cost is NaN.
    """

    metrics: Mapping[str, Scores]
    judged: frozenset[str] = frozenset()
    clusters: Mapping[str, str] = field(default_factory=dict[str, str])
    must_pass: frozenset[str] = frozenset()
    seconds: Scores = field(default_factory=dict[str, Sequence[float]])
    usd: Scores = field(default_factory=dict[str, Sequence[float]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a candidate has to come up to.

    Attributes:
        metrics: those that are gated; all that both sides have, if none are named.
        margin: how much a mean may drop.
        level: how likely a FAIL of the metrics is at the most where nothing dropped, and how unsure a PASS may be,
            however often it is looked.
        spends: the share of the level that this look spends; those of all looks add up to 1 at the most.
        at_least: the least mean of a metric of the candidate, as of one of safety.
        p95_seconds: how long 95 % of its runs may take at the most.
        usd_per_run: what its runs may cost on average.
    """

    metrics: Sequence[str] = ()
    margin: float = 0.05
    level: float = 0.05
    spends: float = FIRST_LOOK
    at_least: Mapping[str, float] = field(default_factory=dict[str, float])
    p95_seconds: float | None = None
    usd_per_run: float | None = None

    @property
    def look_level(self) -> float:
        """The level of this look."""
        return self.level * self.spends


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricDecision:
    """What the gate says of one metric.

    Attributes:
        cases: that both sides have, in `clusters`; `unpaired` have one side only.
        baseline: the mean over these cases, and `candidate` likewise; `effect` is the difference.
        low: the least that the difference may be, as sure as the level asks.
        p: of a drop as large if nothing had changed, and `adjusted` for the number of metrics.
        better: cases whose mean rose, and `worse` fell.
        detectable: the drop that would be found four times in five; None where nothing varied.
        flaky: cases of the candidate that passed in some trials only.
        pass_hat: of the candidate, for k from 1; empty unless scores are 0 or 1.
    """

    name: str
    decision: Decision
    reason: str
    cases: int
    clusters: int
    unpaired: Sequence[str] = ()
    baseline: float = math.nan
    candidate: float = math.nan
    effect: float = math.nan
    low: float = -math.inf
    p: float = 1.0
    adjusted: float = 1.0
    better: int = 0
    worse: int = 0
    detectable: float | None = None
    flaky: Sequence[str] = ()
    pass_hat: Sequence[float] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A case that must pass, or a hard limit, and whether it holds."""

    name: str
    decision: Decision
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What runs take more than before, by pairs of cases: the mean difference, and its p by Wilcoxon's ranks."""

    name: str
    cases: int
    baseline: float
    candidate: float
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What the gate says, and why."""

    decision: Decision
    policy: Policy
    metrics: Sequence[MetricDecision]
    limits: Sequence[Limit]
    changes: Sequence[Change]

    @property
    def reasons(self) -> list[str]:
        """Why it is not a PASS, the gravest first; empty if it is."""
        every = [*self.metrics, *self.limits]
        told = [f"{one.name}: {one.reason}" for one in every if one.decision is self.decision]
        return [] if self.decision is Decision.PASS else told or ["there is no metric that both sides have"]


def decide(baseline: Side, candidate: Side, policy: Policy | None = None) -> Gate:
    """Say whether a candidate may take the place of a baseline; pairs are the cases that both have."""
    policy = policy or Policy()
    names = policy.metrics or [name for name in candidate.metrics if name in baseline.metrics]
    compared = [_compare(name, baseline, candidate, policy) for name in names]
    adjusted = holm([one.p for one in compared])
    metrics = [_decided(replace(one, adjusted=p), policy) for one, p in zip(compared, adjusted, strict=True)]
    limits = [*_must_pass(candidate, names), *_limits(candidate, policy)]
    found = {one.decision for one in (*metrics, *limits)}
    decision = Decision.PASS if metrics else Decision.INCONCLUSIVE
    for graver in (Decision.INCONCLUSIVE, Decision.FAIL):
        decision = graver if graver in found else decision
    changes = [_change("seconds", baseline.seconds, candidate.seconds), _change("usd", baseline.usd, candidate.usd)]
    return Gate(
        decision=decision,
        policy=policy,
        metrics=metrics,
        limits=limits,
        changes=[change for change in changes if change is not None],
    )


def _compare(name: str, baseline: Side, candidate: Side, policy: Policy) -> MetricDecision:
    before, after = baseline.metrics.get(name, {}), candidate.metrics.get(name, {})
    cases = sorted(case for case in before if before[case] and after.get(case))
    unpaired = sorted({case for case in {*before, *after} if case not in cases})
    clusters = [candidate.clusters.get(case, case) for case in cases]
    many = len(set(clusters))
    if many < FEWEST_CLUSTERS:
        both = sorted({*baseline.metrics} & {*candidate.metrics})
        reason = f"both sides tried {many} clusters of cases, and {FEWEST_CLUSTERS} are the fewest that tell anything"
        if name not in both:
            reason = f"it is no metric of both sides, which are {', '.join(both) or 'none'}"
        return MetricDecision(
            name=name, decision=Decision.INCONCLUSIVE, reason=reason, cases=len(cases), clusters=many, unpaired=unpaired
        )
    differences = [fmean(after[case]) - fmean(before[case]) for case in cases]
    mean = clustered_mean(differences, clusters)
    error = mean.error or 0.0
    half = t_quantile(1 - policy.look_level, mean.freedom) * error
    unseen = 1 - policy.look_level ** (1 / many)  # a change this frequent may not have come up once
    counts = [(round(sum(after[case])), len(after[case])) for case in cases]
    is_binary = all(score in (0, 1) for case in cases for score in after[case])
    steady = (pass_hat_k(counts, k) for k in range(1, max(trials for _, trials in counts) + 1)) if is_binary else ()
    return MetricDecision(
        name=name,
        decision=Decision.INCONCLUSIVE,
        reason="",
        cases=len(cases),
        clusters=many,
        unpaired=unpaired,
        baseline=fmean(fmean(before[case]) for case in cases),
        candidate=fmean(fmean(after[case]) for case in cases),
        effect=mean.value,
        low=mean.value - max(half, unseen),
        p=trials_dropped([(before[case], after[case]) for case in cases], clusters),
        better=sum(difference > 0 for difference in differences),
        worse=sum(difference < 0 for difference in differences),
        detectable=detectable(error, mean.freedom, level=policy.look_level) if error else None,
        flaky=[case for case in cases if is_binary and 0 < sum(after[case]) < len(after[case])],
        pass_hat=[share for share in steady if share is not None],
    )


def _decided(one: MetricDecision, policy: Policy) -> MetricDecision:
    """Say what a comparison comes to, once its p is adjusted."""
    if one.reason:
        return one
    drop = f"{one.baseline:.3f} to {one.candidate:.3f}"
    if one.low > -policy.margin:
        return replace(one, decision=Decision.PASS, reason=f"{drop}, surely less than {policy.margin:g} down")
    if one.adjusted <= policy.look_level:
        return replace(one, decision=Decision.FAIL, reason=f"{drop}, surely down (p {one.adjusted:.4f})")
    return replace(
        one,
        reason=f"{drop}: it may be down by {-one.low:.3f}, and {policy.margin:g} is the most; try more cases or trials",
    )


def _must_pass(candidate: Side, names: Sequence[str]) -> list[Limit]:
    """See to cases that must pass: in more than half of their trials, by every metric.

    A metric that is judged counts where there is more than one trial, so that a whim fails nothing.
    """
    found: list[Limit] = []
    for case in sorted(candidate.must_pass):
        scores = {name: candidate.metrics.get(name, {}).get(case, ()) for name in names}
        told = {name: those for name, those in scores.items() if len(those) > (name in candidate.judged)}
        failed = [name for name, those in told.items() if sum(score < 1 for score in those) * 2 >= len(those)]
        decision = Decision.FAIL if failed else Decision.PASS if told else Decision.INCONCLUSIVE
        reason = f"it must pass and does not, by {', '.join(failed)}" if failed else "" if told else "it was not tried"
        found.append(Limit(name=f"case {case}", decision=decision, reason=reason))
    return found


def _limits(candidate: Side, policy: Policy) -> list[Limit]:
    found = [
        _at_least(name, [score for those in candidate.metrics.get(name, {}).values() for score in those], least)
        for name, least in policy.at_least.items()
    ]
    if policy.p95_seconds is not None:
        seconds = sorted(one for those in candidate.seconds.values() for one in those)
        p95 = quantile(seconds, 0.95) if seconds else math.nan
        found.append(_at_most("p95 seconds", p95, policy.p95_seconds))
    if policy.usd_per_run is not None:
        usd = [one for those in candidate.usd.values() for one in those]
        found.append(_at_most("USD per run", fmean(usd) if usd else math.nan, policy.usd_per_run))
    return found


def _at_least(name: str, scores: Sequence[float], least: float) -> Limit:
    if not scores:
        return Limit(name=f"{name} limit", decision=Decision.INCONCLUSIVE, reason="it was not measured")
    holds = fmean(scores) >= least
    reason = f"{fmean(scores):.4g}, and {least:g} is the least"
    return Limit(name=f"{name} limit", decision=Decision.PASS if holds else Decision.FAIL, reason=reason)


def _at_most(name: str, value: float, most: float) -> Limit:
    if math.isnan(value):
        return Limit(name=name, decision=Decision.INCONCLUSIVE, reason="it is not known of every run")
    reason = f"{value:.4g}, and {most:g} is the most"
    return Limit(name=name, decision=Decision.PASS if value <= most else Decision.FAIL, reason=reason)


def _change(name: str, before: Scores, after: Scores) -> Change | None:
    pairs = [(fmean(before[case]), fmean(after[case])) for case in before if before[case] and after.get(case)]
    known = [pair for pair in pairs if not any(map(math.isnan, pair))]
    if not known:
        return None
    return Change(
        name=name,
        cases=len(known),
        baseline=fmean(one for one, _ in known),
        candidate=fmean(other for _, other in known),
        p=wilcoxon([other - one for one, other in known]),
    )
