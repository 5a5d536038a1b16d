"""Where in a call or an answer the statements stand that a policy judges."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from engine import GuardItem, Stage
from engine.definition.guardrail import texts_in


class NotAllowed(ValueError):
    """A statement that may not be run; says why."""


def statements_in(item: GuardItem, tools: Sequence[str], parameters: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Give every text that is to be judged, with its path in the value.

    Args:
        item: a call of a tool, or any other text or value.
        tools: whose calls are judged; none named is all of them.
        parameters: parameters, or fields outside of calls, that hold statements; none named is all of them.

    Raises:
        NotAllowed: the tool is one of those named, and the call has none of the parameters.
    """
    if item.tool is not None and tools and item.tool not in tools:
        return
    is_call = item.stage is Stage.TOOL_ARGUMENTS and item.arguments is not None
    found = False
    for path, text in texts_in(item.arguments, "") if is_call else texts_in(item.value, item.path):
        root = path.split("[")[0].split(".")[0]
        if not parameters or not path or root in parameters:
            found = True
            yield path, text
    if is_call and parameters and not found and item.tool in tools:
        raise NotAllowed(f"the call of {item.tool!r} has none of the parameters {', '.join(parameters)}")


def place_of(path: str, item: GuardItem) -> str | None:
    """Give the path in the item's value of what stands at a path in the arguments; None if it is not known.

    A call that a workflow makes has its value by the fields that the arguments come from.
    """
    if item.arguments is None or item.value == item.arguments:
        return path
    value: Any = item.value
    if not isinstance(value, Mapping) or path not in item.arguments:
        return None
    held = cast("Mapping[str, Any]", value)
    fields = [name for name in held if held[name] == item.arguments[path]]
    return fields[0] if len(fields) == 1 else None
