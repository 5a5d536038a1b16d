"""What must hold for a workflow to be valid; each check gives its faults, a sentence each."""

from collections.abc import Iterable

import re2

from engine.definition.check_branches import branch_faults
from engine.definition.check_budgets import budget_faults
from engine.definition.check_fallbacks import fallback_faults
from engine.definition.check_ways import fork_faults, way_faults
from engine.definition.edges import END, START
from engine.definition.fits import can_hold, show
from engine.definition.guard_policy import faults_of_policy
from engine.definition.named_code import guardrails_in
from engine.definition.node import Node
from engine.definition.phrases import listed, no_field
from engine.definition.shape import Shape
from engine.definition.state import fields_of
from engine.definition.tool import signature_of

_NAME = re2.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


def faults_in(workflow: Shape) -> list[str]:
    """Give every fault of a workflow."""
    faults = [*_names(workflow), *workflow.graph.faults, *_edges(workflow)]
    faults += [
        *branch_faults(workflow),
        *fork_faults(workflow),
        *budget_faults(workflow),
        *_fields(workflow),
        *_conversation(workflow),
        *_judges(workflow),
        *faults_of_policy(workflow.policy, list(guardrails_in(workflow))),
    ]
    if not faults:  # the shape of a graph says something only once its names are right
        faults = [*fallback_faults(workflow), *_ways(workflow), *_loops(workflow), *way_faults(workflow)]
    return faults


def _names(workflow: Shape) -> Iterable[str]:
    for name in [workflow.name, *workflow.nodes]:
        if not _NAME.fullmatch(name):
            yield f"{name!r} is not a name: use lower-case letters, digits and single hyphens, as in 'answer-docs'"
    if not workflow.nodes:
        yield "it has no nodes"
    for name in workflow.output or ():
        if name not in fields_of(workflow.state):
            yield f"output names {name!r}, {no_field(workflow.state)}"


def _judges(workflow: Shape) -> Iterable[str]:
    for guardrail in (*workflow.guard_input, *workflow.guard_output):
        if guardrail.judge is not None or guardrail.classifier is not None:
            yield f"its guardrail {guardrail.name!r} asks others, which takes a step to ask in: give it to a node"


def _edges(workflow: Shape) -> Iterable[str]:
    known = {*workflow.nodes, END}
    if START not in workflow.graph.routes:
        yield "no edge leaves START: begin with Chain(START, ...)"
    for source, route in workflow.graph.routes.items():
        if source not in workflow.nodes and source != START:
            yield f"an edge leaves {source!r}, which is not a node; the nodes are {listed(workflow.nodes)}"
        for target in route.targets:
            if target not in known:
                yield f"an edge goes from {source!r} to {target!r}, which is not a node"
    for name in workflow.nodes:
        if name not in workflow.graph.routes:
            yield f"{name!r} has no way on: add it to a Chain, as in Chain({name!r}, END)"


def _fields(workflow: Shape) -> Iterable[str]:
    fields = fields_of(workflow.state)
    for name, node in workflow.nodes.items():
        for read in node.reads:
            if read not in fields:
                yield f"{name!r} reads {read!r}, {no_field(workflow.state)}"
        for written, kind in node.writes.items():
            if written not in fields:
                yield f"{name!r} writes {written!r}, {no_field(workflow.state)}"
            elif not can_hold(fields[written].annotation, kind):
                yield (f"{name!r} writes {show(kind)} into {written!r}, which holds {show(fields[written].annotation)}")
        if node.cache is not None and not node.may_be_cached:
            yield f"{name!r} has a cache, and a {type(node).__name__} cannot: give one to the nodes inside it"
        yield from _cache_faults(name, node, workflow)
        for fault in node.faults(workflow.state):
            yield f"{name!r}: {fault}"


def _cache_faults(name: str, node: Node, workflow: Shape) -> Iterable[str]:
    if node.cache is None:
        return
    if node.cache.similar is not None and node.cache.similar.field not in node.reads:
        yield f"the cache of {name!r} compares {node.cache.similar.field!r}, which the node does not read"
    for read in () if node.cache.version is None else signature_of(node.cache.version.load()).types:
        if read not in fields_of(workflow.state):
            yield f"the version of the cache of {name!r} goes by {read!r}, {no_field(workflow.state)}"


def _conversation(workflow: Shape) -> Iterable[str]:
    conversation, fields = workflow.conversation, fields_of(workflow.state)
    if conversation is None:
        for name, node in workflow.nodes.items():
            if node.hears_history:
                yield (
                    f"{name!r} has a history, and the workflow has no conversation to take it from: "
                    "set conversation=Conversation(says=..., answers=...)"
                )
        return
    for part, name in (("says", conversation.says), ("answers", conversation.answers)):
        if name not in fields:
            yield f"conversation {part} {name!r}, {no_field(workflow.state)}"
    if conversation.answers in fields and conversation.answers not in (workflow.output or fields):
        yield f"conversation answers {conversation.answers!r}, which a run does not return: add it to output"


def _ways(workflow: Shape) -> Iterable[str]:
    graph = workflow.graph
    reached = graph.reachable([START])
    for name in workflow.nodes:
        if name not in reached:
            yield f"{name!r} is never reached from START"
        elif END not in graph.reachable([name]):
            yield f"{name!r} never reaches END"


def _loops(workflow: Shape) -> Iterable[str]:
    bounded = [name for name, node in workflow.nodes.items() if node.max_visits]
    for group in workflow.graph.endless_loops(workflow.nodes, bounded=bounded):
        yield (
            f"the loop through {listed(sorted(group))} has no bound: set max_visits on one of its nodes, "
            "or at_most on one of its branches"
        )
