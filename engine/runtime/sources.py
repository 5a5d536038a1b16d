"""What a step knows and where it comes from, through the steps and workflows that it is inside of."""

from collections.abc import Mapping
from typing import Any

from engine.definition.taint import origins_of_fields
from engine.definition.text_origin import Origins, Source, TextOrigin
from engine.definition.workflow import Workflow
from engine.runtime.run import Step


def sources_at(step: Step) -> tuple[Source, ...]:
    """Give the prompts, and every field that a step can have its values from, its own before those around it."""
    scope, parent = step.scope, step.scope.parent
    own = sources_of(step.state, origins_at(step))
    if parent is None or parent.scope.workflow is not scope.workflow:
        own = (*scope.workflow.prompts, *own)
    return own if parent is None else (*own, *sources_at(parent))


def sources_of(state: Mapping[str, Any], origins: Mapping[str, Origins]) -> tuple[Source, ...]:
    """Give the fields of a state with their origins; one that nobody has said anything about is not trusted."""
    unknown: Origins = frozenset({TextOrigin.TOOL})
    return tuple(
        Source(name=name, origins=origins.get(name, unknown), value=value)
        for name, value in state.items()
        if value not in (None, "", [], {})
    )


def origins_at(step: Step) -> Mapping[str, Origins]:
    """Give the origins of the fields that a step sees."""
    scope, parent = step.scope, step.scope.parent
    if parent is None:
        return scope.workflow.origins
    around = origins_at(parent)
    inside = parent.node.origins_inside(around)
    if scope.workflow is parent.scope.workflow:
        return {**around, **inside}
    return origins_of_fields(scope.workflow, inside or _all(scope.workflow, parent, around))


def _all(workflow: Workflow, parent: Step, around: Mapping[str, Origins]) -> Mapping[str, Origins]:
    """Say of every field that it may come from all that the step around it reads or brings."""
    brought: Origins = frozenset({parent.node.brings} if parent.node.brings else ())
    origins = brought.union(*(around.get(name, brought) for name in parent.node.reads))
    return dict.fromkeys(workflow.state.model_fields, origins)
