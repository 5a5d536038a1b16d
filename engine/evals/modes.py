"""How an experiment runs its trials: whole, answered from the runs that its cases were made of, or retrievers only."""

from collections.abc import Sequence
from enum import StrEnum

from engine.definition.edges import END, START, Chain
from engine.definition.state import initial_state
from engine.definition.workflow import Workflow
from engine.errors import InputError
from engine.evals.case import Case
from engine.nodes.compute import Compute
from engine.nodes.retrieve import Retrieve
from engine.replay.changes import Changes

_SETTING = "run="


class Mode(StrEnum):
    """How trials are run."""

    WHOLE = "whole"
    RECORDED = "recorded"
    RETRIEVAL_ONLY = "retrieval-only"


def settings_of(settings: Sequence[str], mode: Mode) -> list[str]:
    """Give what an experiment writes down of how it runs."""
    return [*settings, *([] if mode is Mode.WHOLE else [f"{_SETTING}{mode}"])]


def mode_of(settings: Sequence[str]) -> Mode:
    """Read the mode off what an experiment wrote down."""
    return next((Mode(one.removeprefix(_SETTING)) for one in settings if one.startswith(_SETTING)), Mode.WHOLE)


def changes_of(settings: Sequence[str]) -> Changes:
    """Read the changes off what an experiment wrote down."""
    return Changes.of([one for one in settings if not one.startswith(_SETTING)])


def refuse_unrecorded(cases: Sequence[Case]) -> None:
    """Refuse cases that no run can answer.

    Raises:
        InputError: a case was not made of a run.
    """
    if missing := [case.case_id for case in cases if case.run_id is None]:
        raise InputError(
            f"{len(missing)} cases, {missing[0]} among them, were not made of runs, so nothing is recorded of them: "
            "make cases with `flowledger dataset add NAME --from-run RUN` or --where"
        )


def refuse_unfit(cases: Sequence[Case], workflow: Workflow) -> None:
    """Refuse cases whose input a workflow cannot take, before any is run and paid.

    Raises:
        InputError: an input does not fit the state; the first case is named.
    """
    for case in cases:
        try:
            initial_state(workflow.state, case.input)
        except InputError as error:
            raise InputError(f"the workflow {workflow.name!r} cannot take the case {case.case_id}: {error}") from error


def up_to_passages(workflow: Workflow) -> Workflow:
    """Give a workflow that ends where its first retrievers have found passages, before any model is asked.

    Raises:
        InputError: no retriever is reached through chains of retrievers and computations alone.
    """
    follows = {one: other for edge in workflow.edges if isinstance(edge, Chain) for one, other in _pairs(edge)}
    taken: list[str] = []
    while (name := follows.get(taken[-1] if taken else START, END)) != END and name not in taken:
        if not isinstance(workflow.nodes[name], Retrieve | Compute):
            break
        taken.append(name)
    while taken and not isinstance(workflow.nodes[taken[-1]], Retrieve):
        taken.pop()
    if not taken:
        raise InputError(
            f"the workflow {workflow.name!r} reaches no retriever before a model, a tool or a branch: "
            "there is no retrieval to be tried by itself"
        )
    kept = {name: workflow.nodes[name].model_copy(update={"fallback": None, "cache": None}) for name in taken}
    fields = {name: getattr(workflow, name) for name in ("name", "description", "state", "guard_input")}
    return Workflow(**fields, nodes=kept, edges=[Chain(START, *taken, END)], budget=workflow.budget)


def _pairs(edge: Chain) -> list[tuple[str, str]]:
    return list(zip(edge.nodes, edge.nodes[1:], strict=False))
