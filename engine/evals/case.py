"""A case: an input that a workflow is tried on, what a good run of it comes to, and where it is from."""

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from pydantic import Field

from engine.definition.by_path import Frozen
from engine.errors import DefinitionError, InputError
from engine.eval_records import CaseRecord
from engine.json_lines import object_in
from engine.payloads import canonical, digest


class Case(Frozen):
    """An input and what is expected of it; it never changes, and its id is a hash of what it says."""

    input: Mapping[str, Any]
    """What a run is given."""
    expect: Mapping[str, Any] | None = None
    """What evaluators compare with, by name: mostly fields of the output."""
    split: str = Field(default="dev", min_length=1)
    """Which part of the dataset it is of, as in dev or test."""
    tags: tuple[str, ...] = ()
    """Words to find it by."""
    cluster: str | None = None
    """Cases of one cluster may go alike, as those about one document do; a gate counts them together."""
    must_pass: bool = False
    """Whether a gate fails where it does."""
    recorded: Mapping[str, Any] | None = None
    """What the run that it was made of came to: status, output, tools, passages."""
    run_id: str | None = None
    """That run."""
    workflow: str | None = None
    """The workflow of that run."""
    version: str | None = None
    """The version of that workflow."""

    @cached_property
    def case_id(self) -> str:
        """The sha256 of what the case says (first 16 hex digits); where it is from does not count."""
        said = self.model_dump(mode="json", include={"input", "expect", "split", "tags", "cluster", "must_pass"})
        return digest(said)[:16]

    @property
    def source(self) -> str:
        """Where it is from: run or file."""
        return "file" if self.run_id is None else "run"

    def to_json(self) -> dict[str, Any]:
        """Give it as a line of a file has it."""
        return self.model_dump(mode="json", exclude_defaults=True)


def case_of(record: CaseRecord) -> Case:
    """Read a case from its row."""
    return Case(
        input=json.loads(record.input),
        expect=None if record.expected is None else json.loads(record.expected),
        recorded=None if record.recorded is None else json.loads(record.recorded),
        split=record.split,
        tags=tuple(record.tags),
        cluster=record.cluster,
        must_pass=record.must_pass,
        run_id=record.run_id,
        workflow=record.workflow,
        version=record.version,
    )


def texts_of(case: Case) -> dict[str, Any]:
    """Give what of its row is JSON in place."""
    return {
        "input": canonical(dict(case.input)),
        "expected": None if case.expect is None else canonical(dict(case.expect)),
        "recorded": None if case.recorded is None else canonical(dict(case.recorded)),
    }


def read_cases(lines: Iterable[str], where: str, **defaults: Any) -> list[Case]:
    """Read one case a line: `{"input": {...}, "expect": {...}, ...}`, or the fields of an input alone.

    Args:
        lines: JSON.
        where: names the file in messages.
        defaults: what a case says that does not say it itself.

    Raises:
        InputError: a line is no such object, or there is none.
    """
    found = [_case(line, f"{where}, line {number}", defaults) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise InputError(f"{where}: there is no case in it; write one JSON object a line")
    return found


def _case(line: str, where: str, defaults: Mapping[str, Any]) -> Case:
    given = object_in(line, where)
    is_case = isinstance(given.get("input"), dict)
    fields: dict[str, Any] = {**defaults, **(given if is_case else {"input": given})}
    try:
        return Case(**fields)
    except DefinitionError as error:
        raise InputError(f"{where}: {'; '.join(error.faults)}") from error
