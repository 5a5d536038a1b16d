"""What is different between two versions of a workflow, a sentence each."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

_PARTS = {
    "budget": "the budget",
    "guard_input": "the guardrails of the input",
    "guard_output": "the guardrails of the output",
    "output": "the fields it returns",
    "state": "the state class",
}


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Compare two bundles: definitions, the code that they name, and the models behind the roles.

    Args:
        before: {definition: JSON text, code: {path: hash}, models: {role: [...]}} as a run pinned it.
        after: the same as it is now.
    """
    found = _in_definitions(_plain(before.get("definition")), _plain(after.get("definition")))
    found += _in_entries("the code of", before.get("code"), after.get("code"))
    found += _in_entries("the model of the role", before.get("models"), after.get("models"))
    return found


def _plain(text: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(text)) if text else {}


def _in_definitions(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    found = [f"{what} changed" for part, what in _PARTS.items() if before.get(part) != after.get(part)]
    found += _in_edges(before.get("edges", ()), after.get("edges", ()))
    old, new = before.get("nodes", {}), after.get("nodes", {})
    found += [f"the node {name!r} is gone" for name in sorted(old.keys() - new.keys())]
    found += [f"the node {name!r} is new" for name in sorted(new.keys() - old.keys())]
    for name in sorted(old.keys() & new.keys()):
        if fields := _different(old[name], new[name]):
            found.append(f"the node {name!r} changed ({fields})")
    return found


def _in_edges(before: Sequence[Any], after: Sequence[Any]) -> list[str]:
    """Compare branches and parallel ways one by one; chains may be cut anywhere, so they are compared as a whole."""
    found = [] if _links(before) == _links(after) else ["the chains changed"]
    old, new = ({_name_of(edge): edge for edge in edges if "source" in edge} for edges in (before, after))
    for name in sorted(old.keys() | new.keys()):
        what, verb = f"the {name[0]} after {name[1]!r}", "are" if name[0].endswith("s") else "is"
        if name not in old or name not in new:
            found.append(f"{what} {verb} {'new' if name in new else 'gone'}")
        elif fields := _different(old[name], new[name]):
            found.append(f"{what} changed ({fields})")
    return found


def _name_of(edge: Mapping[str, Any]) -> tuple[str, str]:
    kind = str(edge["kind"]).rpartition(":")[2]
    return {"Parallel": "parallel ways"}.get(kind, kind.lower()), edge["source"]


def _links(edges: Sequence[Any]) -> set[tuple[str, str]]:
    return {link for edge in edges for link in pairwise(edge.get("nodes", ()))}


def _different(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    return ", ".join(sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key)))


def _in_entries(what: str, before: Any, after: Any) -> list[str]:
    """Compare two mappings; one that an older engine has not written says nothing."""
    if before is None or after is None:
        return []
    old, new = cast("Mapping[str, Any]", before), cast("Mapping[str, Any]", after)
    return [f"{what} {name!r} changed" for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
