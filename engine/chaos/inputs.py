"""What the runs of a campaign are given: the lines of a file, or the cases beside the workflow's definition."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from engine.definition.state import fields_of
from engine.definition.workflow import Workflow
from engine.errors import InputError
from engine.json_lines import lines_in, object_in


def cases_beside(workflow: Workflow) -> Path | None:
    """Give the file cases.jsonl beside the module that declares the workflow's state; None if there is none."""
    file = getattr(sys.modules.get(workflow.state.__module__), "__file__", None)
    path = Path(file).with_name("cases.jsonl") if file else None
    return path if path is not None and path.is_file() else None


def read_inputs(path: Path, workflow: Workflow) -> list[dict[str, Any]]:
    """Read one input a line: an object of fields, or a case `{"input": {...}, ...}`.

    Raises:
        InputError: the file cannot be read, a line is not such an object, or there is none.
    """
    try:
        lines = lines_in(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"--from {path}: the file cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"--from {path}: it is not UTF-8") from error
    found = [
        _input(line, f"--from {path}, line {number}", workflow) for number, line in enumerate(lines, 1) if line.strip()
    ]
    if not found:
        raise InputError(f"--from {path}: there is no input in it; write one JSON object a line")
    return found


def _input(line: str, where: str, workflow: Workflow) -> dict[str, Any]:
    fields = object_in(line, where)
    case = fields.get("input")
    is_case = isinstance(case, dict) and "input" not in fields_of(workflow.state)
    return dict(cast("Mapping[str, Any]", case) if is_case else fields)
