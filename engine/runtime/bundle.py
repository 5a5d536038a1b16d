"""What a run stands on: its workflow, the code that it names, the models behind its roles, and prices."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from engine.definition.workflow import Workflow
from engine.errors import ConfigurationError
from engine.models.charges import Charges
from engine.models.roles import BoundModel
from engine.runtime.provenance import engine_version, git_commit


def check_each(make: Callable[[Workflow], Any], workflows: Sequence[Workflow]) -> None:
    """Make the bundle of each of these workflows.

    Raises:
        ConfigurationError: some cannot be made; the message says of each why.
    """
    faults: list[str] = []
    for workflow in workflows:
        try:
            make(workflow)
        except ConfigurationError as error:
            faults.append(f"{workflow.name}: {error}")
    if faults:
        raise ConfigurationError("; ".join(faults))


def bundle_of(
    workflow: Workflow,
    models_of: Callable[[str], Sequence[BoundModel]],
    charges: Charges,
    now: datetime,
    *,
    in_usd: bool,
) -> dict[str, Any]:
    """Name all that a run of a workflow stands on, JSON.

    Args:
        workflow: the workflow.
        models_of: gives the models that play a role.
        charges: gives prices.
        now: when.
        in_usd: whether a budget limits what the run may cost.

    Raises:
        ConfigurationError: a model cannot be made, or has no known price although a budget is in USD.
    """
    roles: dict[str, Any] = {}
    for role in sorted(workflow.roles):
        models = models_of(role)
        roles[role] = [
            {"provider": model.provider, "model": model.name, "params": {**model.params}} for model in models
        ]
        for model in models if in_usd else ():
            if charges.dearest(model, 1, 1, now) is None:
                raise ConfigurationError(
                    f"the price of {model.provider}:{model.name} (role {role!r}) is not known and the budget of "
                    f"{workflow.name!r} is in USD: give Model(..., price=Price(input=..., output=...))"
                )
    return {
        "workflow_version": workflow.version,
        "code": dict(workflow.code),
        "models": roles,
        "price_catalogue_id": charges.catalogue.catalogue_id,
        "engine_version": engine_version(),
        "git_commit": git_commit(),
    }
