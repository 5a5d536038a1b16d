"""What a change reaches first: the nodes that are other than they were in the recorded run."""

import json
from collections.abc import Mapping
from typing import Any, cast

from engine.definition.named_code import code_in
from engine.definition.workflow import Workflow


def changed_nodes(
    workflow: Workflow, bundle: Mapping[str, Any], definition: str | None, before: Mapping[str, Any]
) -> frozenset[str]:
    """Give the nodes that ask something else, or somebody else, than they did.

    Args:
        workflow: as it is to be run.
        bundle: what it stands on: {models: {role: [...]}, code: {path: hash}}.
        definition: what was run, as JSON; None if that is not known.
        before: what that stood on.
    """
    plain = cast("dict[str, Any]", json.loads(workflow.to_json()))["nodes"]
    old = cast("dict[str, Any]", json.loads(definition)) if definition else {}
    was = old.get("nodes", {})
    roles, code = _different(bundle, before, "models"), _different(bundle, before, "code")
    return frozenset(
        name
        for name, node in workflow.nodes.items()
        if plain[name] != was.get(name)
        or roles.intersection(node.roles)
        or any(str(path) in code for path in code_in(node))
    )


def _different(one: Mapping[str, Any], other: Mapping[str, Any], part: str) -> set[str]:
    here = cast("Mapping[str, Any]", one.get(part) or {})
    there = cast("Mapping[str, Any]", other.get(part) or {})
    return {name for name in here.keys() | there.keys() if here.get(name) != there.get(name)}
