"""How an app evaluates: what redacts cases before they are kept, and what scores the runs of which workflow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.definition.guardrail import Guardrail
from engine.errors import ConfigurationError
from engine.evals.evaluators import Evaluator, Succeeded
from engine.evals.evaluators.evaluator import evaluator_of
from engine.evals.sampling import Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What an app evaluates with.

    Attributes:
        redact: guardrails that see cases before they are kept in a dataset.
        evaluators: by workflow, what scores its runs: evaluators, or functions of a trial.
        online: which runs that people ask for are scored after they have ended, a Sampling a workflow.
    """

    redact: Sequence[Guardrail] = ()
    evaluators: Mapping[str, Sequence[Any]] = field(default_factory=dict[str, Sequence[Any]])
    online: Sequence[Sampling] = ()

    def of(self, workflow: str, more: Sequence[Any] = ()) -> list[Evaluator]:
        """Give what scores the runs of a workflow: whether they succeed, what the app says, and more.

        Raises:
            ConfigurationError: two have the same name.
            DefinitionError: a function has no name of its own to import it by.
        """
        found = [Succeeded(), *map(evaluator_of, (*self.evaluators.get(workflow, ()), *more))]
        names = [one.name for one in found]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigurationError(f"two evaluators are called {', '.join(twice)}: give one of them a label")
        return found
