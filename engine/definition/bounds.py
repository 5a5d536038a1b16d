"""How much a run can do at the most, read off the definition: loops times attempts times caps."""

from engine.definition.call_bound import CallBound
from engine.definition.graph import Graph
from engine.definition.routes import Choice
from engine.definition.shape import Shape


def visits(workflow: Shape) -> dict[str, int]:
    """Give the most visits of each node in one run.

    Outside loops a node is visited once. Between two visits of the bounded nodes of a loop, or two turns by a bounded
    way of a branch, its other nodes are visited once at the most, since every loop has such a bound.
    """
    nodes = workflow.nodes
    most = {name: node.max_visits or 1 for name, node in nodes.items()}
    for group in workflow.graph.loops(nodes):
        turns = sum((nodes[name].max_visits or 0) + _turns(workflow.graph, name, group) for name in group)
        for name in group:
            most[name] = nodes[name].max_visits or turns + 1
    return most


def _turns(graph: Graph, name: str, group: set[str]) -> int:
    """Say how often the branch after a node may go back into its loop by the ways that it bounds."""
    route = graph.routes.get(name)
    if not isinstance(route, Choice):
        return 0
    return sum(bound for target, bound in route.at_most.items() if target in group)


def model_calls(workflow: Shape) -> list[CallBound]:
    """Give the most model calls of each node in one run."""
    most = visits(workflow)
    return [
        call.inside(name, most[name] * (1 + node.reasks))
        for name, node in workflow.nodes.items()
        for call in node.model_calls
    ]
