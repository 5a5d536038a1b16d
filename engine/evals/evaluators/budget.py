"""Evaluators of what a run took: money, time and tokens against what it may take."""

from decimal import Decimal

from pydantic import Field

from engine.evals.evaluators.evaluator import Evaluator, Score
from engine.evals.trial import Trial
from engine.usage import to_usd


class Cost(Evaluator):
    """Whether the run cost no more than that; None where its cost is not known."""

    needs_success = False

    most_usd: Decimal = Field(ge=0)
    """What it may cost."""

    def score(self, trial: Trial) -> Score:
        """Compare."""
        usd = to_usd(trial.run.cost_nano_usd)
        return Score(None) if usd is None else Score(float(usd <= self.most_usd), value=float(usd))


class Duration(Evaluator):
    """Whether the run was worked on no longer than that."""

    needs_success = False

    most_seconds: float = Field(gt=0)
    """How long it may take."""

    def score(self, trial: Trial) -> Score:
        """Compare."""
        took = trial.run.duration_ns
        return Score(None) if took is None else Score(float(took <= self.most_seconds * 1e9), value=took / 1e9)


class Tokens(Evaluator):
    """Whether the run took no more tokens than that, read and written."""

    needs_success = False

    most: int = Field(ge=0)
    """How many it may take."""

    def score(self, trial: Trial) -> Score:
        """Compare."""
        many = trial.run.usage_input_tokens + trial.run.usage_output_tokens
        return Score(float(many <= self.most), value=float(many))
