"""Evaluators of what retrievers found: passages are expected by id, or by id and grade, under `passages`."""

import math
from collections.abc import Mapping
from typing import Any, cast

from pydantic import Field

from engine.evals.evaluators.evaluator import Evaluator
from engine.evals.trial import Trial


class Found(Evaluator):
    """Looks at the first passages that were found."""

    needs_success = False

    k: int = Field(default=10, ge=1)
    """How many of them count."""
    expected: str = "passages"
    """The name of the expected ids in the case's `expect`: a list, or an object of grades."""

    @property
    def about(self) -> tuple[str, ...]:
        """How many count."""
        return (str(self.k),)

    def grades(self, trial: Trial) -> dict[str, float]:
        """Give the grade of each expected passage; those of grade 0 are none."""
        wanted = trial.expected(self.expected)
        if isinstance(wanted, Mapping):
            graded = cast("Mapping[str, Any]", wanted)
            return {str(name): float(grade) for name, grade in graded.items() if float(grade) > 0}
        return dict.fromkeys(map(str, cast("list[Any]", wanted or [])), 1.0)

    def found(self, trial: Trial) -> list[str]:
        """Give the ids that were found, best first."""
        return [passage.id for passage in trial.passages[: self.k]]

    def score(self, trial: Trial) -> float | None:
        """Say how good that is; None where nothing is expected."""
        grades = self.grades(trial)
        return self.worth(self.found(trial), grades) if grades else None

    def worth(self, found: list[str], grades: Mapping[str, float]) -> float:
        """Say how good a list of ids is."""
        raise NotImplementedError


class Recall(Found):
    """The share of expected passages that were found."""

    def worth(self, found: list[str], grades: Mapping[str, float]) -> float:
        """Count them."""
        return len(set(found) & set(grades)) / len(grades)


class Precision(Found):
    """The share of the k first passages that were expected."""

    def worth(self, found: list[str], grades: Mapping[str, float]) -> float:
        """Count them; a place that was left empty counts as wrong."""
        return len(set(found) & set(grades)) / self.k


class AllFound(Found):
    """Whether every expected passage was found, as an answer that needs all of them asks for."""

    def worth(self, found: list[str], grades: Mapping[str, float]) -> float:
        """Look for them."""
        return float(set(grades) <= set(found))


class ReciprocalRank(Found):
    """One over the place of the first expected passage; 0 if none was found."""

    def worth(self, found: list[str], grades: Mapping[str, float]) -> float:
        """Look for it."""
        return next((1 / place for place, name in enumerate(found, 1) if name in grades), 0.0)


class Ndcg(Found):
    """The gain of the passages, discounted by place, over that of the best order (nDCG)."""

    def worth(self, found: list[str], grades: Mapping[str, float]) -> float:
        """Add it up."""
        best = sorted(grades.values(), reverse=True)[: self.k]
        return _gain([grades.get(name, 0.0) for name in found]) / _gain(best)


def _gain(grades: list[float]) -> float:
    return math.fsum(grade / math.log2(place + 1) for place, grade in enumerate(grades, 1))
