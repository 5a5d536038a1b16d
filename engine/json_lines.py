"""JSON lines: one object a line, and what is wrong with one in a sentence."""

import json
from typing import Any, cast

from engine.errors import InputError


def object_in(line: str, where: str) -> dict[str, Any]:
    """Read the JSON object of a line; `where` says which line of what.

    Raises:
        InputError: it is none.
    """
    try:
        value: Any = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where}: it is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{where}: one JSON object is expected, not a {type(value).__name__}")
    return cast("dict[str, Any]", value)
