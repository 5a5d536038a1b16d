"""What must hold for budgets of nodes and for what is done with less."""

from collections.abc import Iterable

from engine.definition.phrases import listed
from engine.definition.policies import KEPT_KINDS
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
        own = node.budget
        if own is not None and (own.seconds or own.ladder or own.warn or own.keep):
            yield f"the budget of {name!r} has seconds, a ladder, a warning or shares: those are the workflow's"
    yield from _kept_faults(workflow)


def _kept_faults(workflow: Shape) -> Iterable[str]:
    limits, kept = workflow.budget.limits(), workflow.budget.kept()
    for name in kept:
        if name not in workflow.nodes:
            yield f"the budget keeps a share for {name!r}, which is not a node; the nodes are {listed(workflow.nodes)}"
    for kind in KEPT_KINDS:
        limit, whole = getattr(limits, kind), sum(getattr(amount, kind) for amount in kept.values())
        if limit is not None and whole > limit:
            yield f"the budget keeps {whole:,} {kind.replace('nano_usd', 'nano-USD')} of {limit:,}: keep less"
    if kept and all(getattr(limits, kind) is None for kind in KEPT_KINDS):
        yield "the budget keeps shares of limits, and has none: set usd, tokens, calls or steps"
