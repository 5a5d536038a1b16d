"""Calibration: how far a judge agrees with people, and what its verdicts then say of the true rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from engine.errors import InputError
from engine.eval_records import ScoreRecord
from engine.evals.buying import Buying
from engine.evals.evaluators.judge import ORDER_DECIDED
from engine.statistics.agreement import Agreement, Pair, kappa_interval, share_of, true_rate
from engine.statistics.intervals import Interval
from engine.store import experiments as stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """How a judge stands beside labels.

    Attributes:
        metric: the judge.
        agreement: over the trials that have a label.
        kappa: where Cohen's kappa may lie.
        unlabelled: trials that only the judge judged, `good` of which it calls good.
        rate: the true rate of good among these, corrected by the judge's errors; None where it cannot be.
        order_decided: of trials that were compared in both orders, those where the order decided.
        judged: how many trials the judge has judged in all; `unsure` it could not tell of.
    """

    metric: str
    agreement: Agreement
    kappa: Interval
    unlabelled: int
    good: int
    rate: tuple[float, Interval] | None
    order_decided: int
    judged: int
    unsure: int

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        found, rate = self.agreement, self.rate
        return {
            "metric": self.metric,
            "labelled": found.trials,
            "agreed": share_of((found.both + found.neither, found.trials)),
            "kappa": found.kappa,
            "kappa_interval": self.kappa.to_json(),
            "recall": share_of(found.sensitivity),
            "specificity": share_of(found.specificity),
            "precision": share_of(found.precision),
            "unlabelled": self.unlabelled,
            "judged_rate": self.good / self.unlabelled if self.unlabelled else None,
            "corrected_rate": None if rate is None else rate[0],
            "corrected_interval": None if rate is None else rate[1].to_json(),
            "order_decided": self.order_decided,
            "judged": self.judged,
            "unsure": self.unsure,
        }


class Calibration(Buying):
    """The part of an app that holds judges against people."""

    async def calibrate(self, experiment: str, metric: str, *, expect: str | None = None) -> Calibrated:
        """Hold what a judge said of the trials of an experiment against labels.

        Args:
            experiment: its name or id.
            metric: the judge's name; 0.5 and more counts as good.
            expect: the field of the cases' `expect` that says whether a trial of the case is good; else what was last
                said of each run as its outcome counts.

        Raises:
            InputError: there is no such experiment or metric, or no trial has a label.
        """
        record = await self.experiment_named(experiment)
        every = await self.ledger.read(partial(stored.scores_of, experiment_id=record.experiment_id))
        scores = [one for one in every if one.evaluator == metric]
        if not scores:
            there = ", ".join(sorted({one.evaluator for one in every})) or "none"
            raise InputError(f"the experiment {experiment!r} has no metric {metric!r}: it has {there}")
        told = [one for one in scores if one.score is not None]
        cases = {case.case_id: case.expect or {} for case in (await self.cases_of(record))[1]}
        labels = await self._labels(told, expect, cases)
        pairs: list[Pair] = [
            (label, _is_good(one)) for one, label in zip(told, labels, strict=True) if label is not None
        ]
        if not pairs:
            how = f"no case says {expect!r}" if expect else "say what became of some runs with `flowledger outcome set`"
            raise InputError(f"no trial of {experiment!r} has a label: {how}")
        rest = [_is_good(one) for one, label in zip(told, labels, strict=True) if label is None]
        agreement = Agreement.of(pairs)
        return Calibrated(
            metric=metric,
            agreement=agreement,
            kappa=kappa_interval(pairs),
            unlabelled=len(rest),
            good=sum(rest),
            rate=true_rate(sum(rest), len(rest), agreement),
            order_decided=sum(one.explanation == ORDER_DECIDED for one in told),
            judged=len(told),
            unsure=len(scores) - len(told),
        )

    async def _labels(
        self, scores: Sequence[ScoreRecord], expect: str | None, cases: Mapping[str, Mapping[str, Any]]
    ) -> list[bool | None]:
        if expect is None:
            said = [await self.ledger.outcomes(one.run_id) for one in scores]
            return [outcomes[-1].success if outcomes else None for outcomes in said]
        found: list[Any] = [cases.get(one.case_id or "", {}).get(expect) for one in scores]
        return [label if isinstance(label, bool) else None for label in found]


def _is_good(score: ScoreRecord) -> bool:
    return (score.score or 0.0) >= 0.5
