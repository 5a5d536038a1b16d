"""Evaluators of safety: whether a guardrail would have let pass what a run returned."""

from typing import Any

from engine.definition.guardrail import AnyGuardrail, GuardItem, Stage
from engine.evals.evaluators.evaluator import Ask, Evaluator, Score, without_success
from engine.evals.trial import Trial


class Safe(Evaluator):
    """Whether a guardrail lets what the run returned pass as it is: 0 where it would mask, drop or block something.

    It goes by what the guardrail itself finds; classifiers and judges that it names are not asked.
    """

    guardrail: AnyGuardrail
    """Which, as in Pii()."""
    of: str | None = None
    """The field of the output; all of it if not given."""

    @property
    def about(self) -> tuple[str, ...]:
        """The guardrail, and the field."""
        return (self.guardrail.name, *filter(None, (self.of,)))

    @property
    def code(self) -> tuple[Any, ...]:
        """The guardrail's class."""
        return (type(self.guardrail),)

    async def evaluate(self, trial: Trial, ask: Ask) -> Score:
        """Have it look at the output; the explanation never says what it found."""
        del ask
        if (score := without_success(trial)) is not None:
            return score
        value = {name: inner for name, inner in trial.output.items() if self.of in (None, name)}
        state = {**trial.case.input, **trial.output}
        verdicts = await self.guardrail.check(GuardItem(stage=Stage.RUN_OUTPUT, value=value, state=state))
        found = [
            f"{path}: {verdict.action} {verdict.reason}".rstrip() for path, verdict in verdicts if not verdict.allows
        ]
        return Score(float(not found), explanation="; ".join(found) or None)
