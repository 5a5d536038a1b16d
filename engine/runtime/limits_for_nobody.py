"""Limits that limit nothing are mistakes: a name that no model has is refused."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from engine.definition.phrases import listed
from engine.definition.workflow import Workflow
from engine.errors import ConfigurationError
from engine.models.roles import BoundModel
from engine.runtime.rate_limit import RateLimit

_NO_MODEL = "the "  # how tools, retrievers and runnables are called as targets: the tool 'open_ticket'
_HAS_MODELS_INSIDE = "engine.nodes.call_runnable:CallRunnable"


def refuse_limits_for_nobody(
    limits: Mapping[str, RateLimit], workflows: Iterable[Workflow], models_of: Callable[[str], Sequence[BoundModel]]
) -> None:
    """Refuse names that are neither a provider nor a model of it; nobody knows which models a runnable asks.

    Raises:
        ConfigurationError: there is one.
    """
    workflows = list(workflows)
    if not limits or any(_HAS_MODELS_INSIDE in workflow.to_json() for workflow in workflows):
        return
    known: set[str] = set()
    for role in sorted({role for workflow in workflows for role in workflow.roles}):
        for model in models_of(role):
            known |= {model.provider, f"{model.provider}:{model.name}"}
    for name in limits:
        if name not in known and not name.startswith(_NO_MODEL):
            raise ConfigurationError(f"limits names {name!r}, which no model is; the names are {listed(sorted(known))}")
