"""What must hold for budgets of nodes and for what is done with less."""

from collections.abc import Iterable

from engine.definition.phrases import listed
from engine.definition.shape import Shape


def budget_faults(workflow: Shape) -> Iterable[str]:
    """Give what is wrong with budgets."""
    for rung in workflow.budget.ladder:
        for name in rung.skip:
            node = workflow.nodes.get(name)
            if node is None:
                yield f"the ladder skips {name!r}, which is not a node; the nodes are {listed(workflow.nodes)}"
            elif node.is_check or node.guard_input or node.guard_output:
                yield f"the ladder skips {name!r}, which checks something: what keeps a run safe is not left out"
        known = {role for node in workflow.nodes.values() for role in node.roles}
        for role in rung.models:
            if role not in known:
                yield f"the ladder replaces the role {role!r}, which no node asks"
    for name, node in workflow.nodes.items():
        if node.budget is not None and (node.budget.seconds or node.budget.ladder or node.budget.warn):
            yield f"the budget of {name!r} has seconds, a ladder or a warning: those are the workflow's"
