"""How much a run can do at the most, read off the definition: loops times attempts times caps."""

from engine.definition.call_bound import CallBound
from engine.definition.graph import Graph
from engine.definition.node import Node
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
    """Give the most model calls of each node in one run, those to judges of its guardrails included."""
    most = visits(workflow)
    return [
        call.inside(name, times)
        for name, node in workflow.nodes.items()
        for calls, times in ((node.model_calls, most[name] * (1 + node.reasks)), (judge_calls(node), most[name]))
        for call in calls
    ]


def judge_calls(node: Node) -> list[CallBound]:
    """Give the most that one visit of a node asks judges; what it turns down and asks for again is judged in the same.

    Steps inside it have their own.
    """
    judges = dict.fromkeys(one.judge for one in node.guardrails if one.judge is not None)
    return [judge.calls(node.retry.attempts) for judge in judges]
