"""Two versions of a workflow: what changed in a sentence each, and the texts and settings line by line."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any, cast

from engine.definition.changes import changes


@dataclass(frozen=True, slots=True)
class VersionDifference:
    """What is different.

    Attributes:
        sentences: what changed, a sentence each.
        places: each place of the definition that changed, with what stood there and what stands there.
    """

    sentences: tuple[str, ...]
    places: tuple[tuple[str, Any, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        places = [{"place": place, "before": old, "after": new} for place, old, new in self.places]
        return {"changes": list(self.sentences), "places": places}

    def lines(self) -> Iterator[str]:
        """Give it as text: the lines of a long text as a diff, anything else as what it was and is."""
        for place, old, new in self.places:
            if isinstance(old, str) and isinstance(new, str) and "\n" in old + new:
                yield from unified_diff(old.splitlines(), new.splitlines(), place, place, lineterm="")
            else:
                yield f"{place}: {_shown(old)} -> {_shown(new)}"


def version_difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> VersionDifference:
    """Compare two versions: {definition: JSON text, code: {path: hash}, models: {role: [...]}} as runs pinned them."""
    old, new = (json.loads(side["definition"]) for side in (before, after))
    places = [*_places(old, new), *_places(before.get("models") or {}, after.get("models") or {}, "models")]
    return VersionDifference(tuple(changes(before, after)), tuple(places))


def _places(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        one, other = cast("dict[str, Any]", old), cast("dict[str, Any]", new)
        for name in sorted(one.keys() | other.keys()):
            yield from _places(one.get(name), other.get(name), f"{path}.{name}" if path else name)
    elif old != new:
        yield path, old, new


def _shown(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)
