"""The first place at which two JSON values differ, in words."""

from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Any, cast

_AROUND = 60  # characters of a text that are shown on either side


def first_difference(before: Any, after: Any, path: str = "") -> str | None:
    """Say where two JSON values first differ, and what stands there in each; None if they are the same."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        one, other = cast("Mapping[str, Any]", before), cast("Mapping[str, Any]", after)
        for name in dict.fromkeys([*one, *other]):
            at = f"{path}.{name}" if path else name
            if name not in one or name not in other:
                return f"{at} is {'gone' if name not in other else 'new'}"
            if (found := first_difference(one[name], other[name], at)) is not None:
                return found
        return None
    if isinstance(before, list) and isinstance(after, list):
        firsts, seconds = cast("list[Any]", before), cast("list[Any]", after)
        for number, (first, second) in enumerate(zip(firsts, seconds, strict=False)):
            if (found := first_difference(first, second, f"{path}[{number}]")) is not None:
                return found
        return None if len(firsts) == len(seconds) else f"{path} has {len(seconds)} items and had {len(firsts)}"
    return None if before == after else f"{path or 'it'} {_shown(before, after)}"


def _shown(before: Any, after: Any) -> str:
    if not (isinstance(before, str) and isinstance(after, str)):
        return f"was {before!r} and is {after!r}"
    same = SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()[0]
    start = same.size if same.a == same.b == 0 else 0
    return f"was {_cut(before, start)} and is {_cut(after, start)}"


def _cut(text: str, start: int) -> str:
    begin, end = max(start - _AROUND, 0), start + _AROUND
    return repr(f"{'…' if begin else ''}{text[begin:end]}{'…' if end < len(text) else ''}")
