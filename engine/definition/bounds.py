"""How much a run can do at the most, read off the definition: loops times attempts times caps."""

from dataclasses import dataclass

from engine.definition.shape import Shape


@dataclass(frozen=True, slots=True)
class CallBound:
    """The most that one node can ask of one model role in one run.

    Attributes:
        node: the node.
        role: the model role.
        calls: attempts in all.
        max_tokens: tokens that one answer may have.
        max_input_tokens: tokens that one request may have, where the node says so.
    """

    node: str
    role: str
    calls: int
    max_tokens: int
    max_input_tokens: int | None


def visits(workflow: Shape) -> dict[str, int]:
    """Give the most visits of each node in one run.

    Outside loops a node is visited once. Between two visits of the bounded nodes of a loop, its other nodes are
    visited once at the most, since every loop has a bounded node.
    """
    nodes = workflow.nodes
    most = {name: node.max_visits or 1 for name, node in nodes.items()}
    for group in workflow.graph.cycles(nodes):
        turns = sum(nodes[name].max_visits or 0 for name in group)
        for name in group:
            most[name] = nodes[name].max_visits or turns + 1
    return most


def model_calls(workflow: Shape) -> list[CallBound]:
    """Give the most model calls of each node in one run."""
    most = visits(workflow)
    return [
        CallBound(
            node=name,
            role=role,
            calls=most[name] * node.calls_per_visit * (1 + node.reasks) * node.retry.attempts,
            max_tokens=getattr(node, "max_tokens", 0),
            max_input_tokens=getattr(node, "max_input_tokens", None),
        )
        for name, node in workflow.nodes.items()
        for role in node.roles
    ]
