"""Evaluators that ask a model, through a workflow of yours; its runs and what they cost stand in the ledger."""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from pydantic import Field

from engine.errors import ConfigurationError
from engine.evals.evaluators.evaluator import Ask, Evaluator, Score, as_score, without_success
from engine.evals.trial import Trial
from engine.records import RunStatus
from engine.runtime.result import RunResult

ORDER_DECIDED = "the order decided"
"""What is said of a comparison that comes out otherwise in the other order."""


class Judge(Evaluator):
    """Asks a workflow whether a trial meets a criterion; several votes count as their mean.

    The workflow is one of the app. It is pinned, guarded and budgeted as any other, and its runs come from `judge`.
    """

    deterministic: ClassVar[bool] = False

    workflow: str
    """The workflow that judges."""
    given: Mapping[str, str] = Field(min_length=1)
    """Its input: from which part of the trial each field comes, as in {"answer": "output.answer"}; parts are input,
    output, expect, recorded and passages."""
    verdict: str
    """The field of its output that says it: a bool, or a number from 0 to 1."""
    reason: str | None = None
    """The field of its output that says why."""
    votes: int = Field(default=1, ge=1)
    """How often it is asked."""

    @property
    def about(self) -> tuple[str, ...]:
        """The workflow."""
        return (self.workflow,)

    async def evaluate(self, trial: Trial, ask: Ask) -> Score:
        """Ask."""
        if (score := without_success(trial)) is not None:
            return score
        given = given_by(trial, self.given)
        results = [await ask(self.workflow, given, f"{self.version}:{vote}") for vote in range(self.votes)]
        said = [_said(result, self.verdict) for result in results if result.status is RunStatus.SUCCEEDED]
        if not said:
            return _unjudged(results[-1])
        scores = [as_score(one, self.name).score or 0.0 for one in said]
        why = None if self.reason is None else results[0].output.get(self.reason)
        told = f"votes {', '.join(f'{score:g}' for score in scores)}" if self.votes > 1 else None
        explanation = "; ".join(str(part) for part in (told, why) if part)
        return Score(sum(scores) / len(scores), explanation=explanation or None, judge_run_id=results[0].run_id)


class Preferred(Evaluator):
    """Asks a workflow which of two texts is better, the trial's or a reference, once in each order.

    Preferred in both orders is 1, in neither 0, and 0.5 where the order decided or neither was better.
    """

    deterministic: ClassVar[bool] = False

    workflow: str
    """The workflow that compares; its output field `better` says first, second or neither."""
    of: str
    """The text of the trial, as in output.answer."""
    against: str
    """The reference, as in recorded.output.answer or expect.answer."""
    given: Mapping[str, str] = {}
    """What else it is given, besides `first` and `second`."""
    better: str = "better"
    """The field of its output that says which."""

    @property
    def about(self) -> tuple[str, ...]:
        """The workflow."""
        return (self.workflow,)

    async def evaluate(self, trial: Trial, ask: Ask) -> Score:
        """Ask in both orders."""
        if (score := without_success(trial)) is not None:
            return score
        texts = given_by(trial, {"ours": self.of, "theirs": self.against})
        if texts["theirs"] is None:
            return Score(None)
        others = given_by(trial, self.given)
        points: list[float] = []
        last: RunResult | None = None
        for place, (first, second) in (("first", ("ours", "theirs")), ("second", ("theirs", "ours"))):
            asked = {**others, "first": texts[first], "second": texts[second]}
            last = await ask(self.workflow, asked, f"{self.version}:{place}")
            if last.status is not RunStatus.SUCCEEDED:
                return _unjudged(last)
            said = _said(last, self.better)
            points.append(1.0 if said == place else 0.0 if said in ("first", "second") else 0.5)
        explanation = ORDER_DECIDED if points[0] != points[1] else None
        return Score(sum(points) / 2, explanation=explanation, judge_run_id=last.run_id if last else None)


def given_by(trial: Trial, given: Mapping[str, str]) -> dict[str, Any]:
    """Give parts of a trial by their paths; None for one that is not there.

    Raises:
        ConfigurationError: a path names no part of a trial.
    """
    parts: dict[str, Any] = {
        "input": dict(trial.case.input),
        "output": dict(trial.output),
        "expect": dict(trial.case.expect or {}),
        "recorded": dict(trial.case.recorded or {}),
        "passages": [passage.model_dump(mode="json") for passage in trial.passages],
    }
    return {name: _at(parts, path) for name, path in given.items()}


def _at(parts: Mapping[str, Any], path: str) -> Any:
    first, *rest = path.split(".")
    if first not in parts:
        raise ConfigurationError(
            f"{path!r} names no part of a trial: write one of {', '.join(parts)}, as in output.answer"
        )
    value: Any = parts[first]
    for name in rest:
        value = cast("Mapping[str, Any]", value).get(name) if isinstance(value, Mapping) else None
    return value


def _said(result: RunResult, field: str) -> Any:
    if field not in result.output:
        raise ConfigurationError(f"the workflow {result.workflow!r} has no field {field!r} in its output")
    return result.output[field]


def _unjudged(result: RunResult) -> Score:
    why = result.error.message if result.error else ""
    return Score(None, explanation=f"the judge {result.status}: {why}", judge_run_id=result.run_id)
