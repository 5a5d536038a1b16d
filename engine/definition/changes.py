"""What is different between two versions of a workflow, a sentence each."""

import json
from collections.abc import Mapping
from typing import Any, cast

_PARTS = {
    "budget": "the budget",
    "edges": "the edges",
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
    old, new = before.get("nodes", {}), after.get("nodes", {})
    found += [f"the node {name!r} is gone" for name in sorted(old.keys() - new.keys())]
    found += [f"the node {name!r} is new" for name in sorted(new.keys() - old.keys())]
    for name in sorted(old.keys() & new.keys()):
        fields = sorted(key for key in old[name].keys() | new[name].keys() if old[name].get(key) != new[name].get(key))
        if fields:
            found.append(f"the node {name!r} changed ({', '.join(fields)})")
    return found


def _in_entries(what: str, before: Any, after: Any) -> list[str]:
    """Compare two mappings; one that an older engine has not written says nothing."""
    if before is None or after is None:
        return []
    old, new = cast("Mapping[str, Any]", before), cast("Mapping[str, Any]", after)
    return [f"{what} {name!r} changed" for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
