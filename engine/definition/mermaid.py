"""A workflow is drawn as a Mermaid flowchart."""

from collections.abc import Iterable, Mapping

from engine.definition.edges import END, START
from engine.definition.graph import Graph
from engine.definition.routes import Choice, Fork


def mermaid(graph: Graph, kinds: Mapping[str, str]) -> str:
    """Draw a graph; `kinds` says what kind each node is."""
    lines = ["flowchart TD", '  START(["start"])', '  END_(["end"])']
    lines += [f'  {_id(name)}["{name}<br/><small>{kind}</small>"]' for name, kind in sorted(kinds.items())]
    for source, route in sorted(graph.routes.items(), key=lambda item: item[0]):
        if isinstance(route, Choice):
            lines += _choice(source, route)
        elif isinstance(route, Fork):
            lines += _fork(source, route)
        else:
            lines.append(f"  {_id(source)} --> {_id(route.target)}")
    lines += [f"  {_id(source)} -. falls back .-> {_id(target)}" for source, target in sorted(graph.fallbacks.items())]
    return "\n".join(lines)


def _choice(source: str, choice: Choice) -> Iterable[str]:
    for value, targets in sorted(choice.to.items()):
        for target in targets:
            bound = f" (at most {choice.at_most[target]} times)" if target in choice.at_most else ""
            yield f'  {_id(source)} -- "{choice.on} = {value}{bound}" --> {_id(target)}'
    for target in choice.default:
        yield f"  {_id(source)} -- otherwise --> {_id(target)}"
    if choice.otherwise is not None:
        yield f'  {_id(source)} -- "bound is met" --> {_id(choice.otherwise)}'


def _fork(source: str, fork: Fork) -> Iterable[str]:
    for target in fork.targets:
        said = [*(["first wins"] if fork.first else []), *(["optional"] if target in fork.optional else [])]
        yield (
            f'  {_id(source)} -- "{", ".join(said)}" --> {_id(target)}'
            if said
            else (f"  {_id(source)} --> {_id(target)}")
        )


def _id(name: str) -> str:
    return {END: "END_", START: START}.get(name, f"n_{name.replace('-', '_')}")
