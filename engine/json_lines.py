"""JSON lines: one object a line, and what is wrong with one in a sentence."""

import json
from typing import Any, cast

from engine.errors import InputError


def lines_in(text: str) -> list[str]:
    """Give the lines of a text; a line feed alone ends one, for strings may hold other separators, as U+2028."""
    return text.removeprefix("\ufeff").split("\n")


def object_in(line: str, where: str) -> dict[str, Any]:
    """Read the JSON object of a line; `where` says which line of what.

    Raises:
        InputError: it is none, or holds what cannot be kept: NaN, infinity, half of a surrogate pair.
    """
    try:
        value: Any = json.loads(line)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{where}: a text in it has {error.object[error.start]!r}, which is no character") from error
    except ValueError as error:
        raise InputError(f"{where}: it is not JSON: {error}") from error
    except RecursionError as error:
        raise InputError(f"{where}: lists and objects in it are nested too deeply to be read") from error
    if not isinstance(value, dict):
        raise InputError(f"{where}: one JSON object is expected, not a {type(value).__name__}")
    return cast("dict[str, Any]", value)
