"""What an evaluator is: it looks at a trial and gives a score from 0 to 1."""

import asyncio
import hashlib
import inspect
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from pydantic import SerializeAsAny

from engine.definition.by_path import Code, Component, by_path, path_of, source_of
from engine.errors import ConfigurationError
from engine.evals.trial import Trial
from engine.records import RunStatus
from engine.runtime.result import RunResult

Ask = Callable[[str, Mapping[str, Any], str], Awaitable[RunResult]]
"""Runs a workflow that judges a trial: its name, its input, and a key, under which it is asked once only."""


@dataclass(frozen=True, slots=True)
class Score:
    """What an evaluator says of a trial.

    Attributes:
        score: from 0 (bad) to 1 (good); None where it does not apply.
        value: what was measured, where the score is made of a number.
        explanation: why, for a person.
        judge_run_id: the run that judged.
    """

    score: float | None
    value: float | None = None
    explanation: str | None = None
    judge_run_id: str | None = None


class Evaluator(Component):
    """Gives a trial a score; one of your own is a function of a trial that returns a bool, a number or a Score."""

    deterministic: ClassVar[bool] = True
    """Whether the same trial always has the same score."""
    needs_success: ClassVar[bool] = True
    """Whether a run that did not succeed scores 0 unseen."""

    label: str = ""
    """What reports call it, if not its class and the field that it looks at."""

    @cached_property
    def name(self) -> str:
        """How reports and the ledger call it."""
        words = re.sub(r"(?<!^)(?=[A-Z])", "-", type(self).__name__).lower()
        return self.label or "-".join(filter(None, (words, *self.about)))

    @property
    def about(self) -> tuple[str, ...]:
        """What tells it from others of its class."""
        return ()

    @property
    def is_deterministic(self) -> bool:
        """Whether the same trial always has the same score."""
        return self.deterministic

    @cached_property
    def version(self) -> str:
        """The sha256 of its settings and its code (first 16 hex digits)."""
        said = hashlib.sha256(self.model_dump_json().encode())
        for code in (type(self), *self.code):
            said.update(f"\0{source_of(code)}".encode())
        return said.hexdigest()[:16]

    @property
    def code(self) -> tuple[Any, ...]:
        """The functions that it calls."""
        return ()

    def applies(self, trial: Trial) -> bool:
        """Say whether it has anything to say of a trial, however that ended."""
        del trial
        return True

    def score(self, trial: Trial) -> "bool | float | Score | None":
        """Say what a trial is worth."""
        raise TypeError(f"{type(self).__name__} overrides neither score nor evaluate")

    async def evaluate(self, trial: Trial, ask: Ask) -> Score:
        """Say what a trial is worth; `ask` runs workflows that judge."""
        del ask
        if not self.applies(trial):
            return Score(None)
        if self.needs_success and (score := without_success(trial)) is not None:
            return score
        return as_score(self.score(trial), self.name)


class Succeeded(Evaluator):
    """Whether the run came to its end; or ended as the case expects under `status`, as in blocked."""

    needs_success = False

    def score(self, trial: Trial) -> Score:
        """Look at its status."""
        fits = trial.ended_as_expected
        return Score(
            float(fits), explanation=None if fits else trial.run.error_message or f"the run {trial.run.status}"
        )


class FunctionEvaluator(Evaluator):
    """A function of yours: it is given a trial and returns a bool, a number from 0 to 1, a Score, or None."""

    function: SerializeAsAny[Code]
    """The function, async or not."""
    repeatable: bool = True
    """Whether the same trial always has the same score."""

    @property
    def about(self) -> tuple[str, ...]:
        """The function."""
        return (self.function.rpartition(":")[2].replace("_", "-"),)

    @cached_property
    def name(self) -> str:
        """How reports call it: as the function."""
        return self.label or self.about[0]

    @property
    def is_deterministic(self) -> bool:
        """What whoever named the function says."""
        return self.repeatable

    @property
    def code(self) -> tuple[Any, ...]:
        """The function."""
        return (self.function.load(),)

    async def evaluate(self, trial: Trial, ask: Ask) -> Score:
        """Call the function."""
        del ask
        if (score := without_success(trial)) is not None:
            return score
        function = self.function.load()
        if inspect.iscoroutinefunction(function):
            return as_score(await function(trial), self.name)
        return as_score(await asyncio.to_thread(function, trial), self.name)


def without_success(trial: Trial) -> Score | None:
    """Score a run that did not succeed, unseen: 0, or none if the case expects that end; None for one that did."""
    if trial.run.status is RunStatus.SUCCEEDED:
        return None
    return Score(None if trial.ended_as_expected else 0.0, explanation=f"the run {trial.run.status}")


def as_score(said: Any, name: str) -> Score:
    """Read what an evaluator said.

    Raises:
        ConfigurationError: it is no score, or outside 0 to 1.
    """
    score = said if isinstance(said, Score) else Score(None if said is None else _number(said, name))
    if score.score is not None and not 0 <= score.score <= 1:
        raise ConfigurationError(f"the evaluator {name} said {score.score}: a score is from 0 to 1")
    return score


def _number(said: Any, name: str) -> float:
    if not isinstance(said, int | float) or math.isnan(said):
        raise ConfigurationError(f"the evaluator {name} said {said!r}: a bool, a number, a Score or None is expected")
    return float(said)


def evaluator_of(given: Any) -> Evaluator:
    """Make an evaluator of a function, of a class that needs no arguments, or of one that is one; a path names either.

    Raises:
        ConfigurationError: it is none of these.
        DefinitionError: the function cannot be imported by a path, or the class needs arguments.
    """
    found = by_path(given) if isinstance(given, str) else given
    if isinstance(found, Evaluator):
        return found
    if not callable(found):
        raise ConfigurationError(
            f"{given!r} is a {type(found).__name__}: an evaluator is a function of a trial, or a class"
        )
    if isinstance(found, type) and issubclass(found, Evaluator):
        return found()
    return FunctionEvaluator(function=given if isinstance(given, str) else path_of(found))
