"""JsonSchema: a value, or the JSON in a text, fits a schema; what nearly does is mended inside a fence."""

import json
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal, cast

import json_repair
import jsonschema_rs

from engine import Action, DefinitionError, GuardItem, Guardrail, Stage, Verdict

_LONGEST_REASON = 300
_LONGEST_MENDED = 100_000  # characters


class JsonSchema(Guardrail):
    """Validates each field of what it looks at; texts are read as JSON first.

    All drafts are known; remote schemas are never fetched. With `repair`, a text that is no
    JSON is mended (quotes, commas, fences, what is cut off) if what comes of it fits the schema; the verdict in the
    ledger says so. The arguments of a tool with side effects are never mended. It says whether the value fits, not
    whether what it says is true.
    """

    labels: ClassVar[Sequence[str] | None] = ()

    document: dict[str, Any] | bool
    """The JSON Schema; its draft is the one that `$schema` names, else 2020-12."""
    formats: bool = True
    """Whether a text must have the `format` that its schema says (a date, an address)."""
    action: Literal["reask", "block", "flag"] = "reask"
    """What is done about a value that does not fit."""
    repair: bool = False
    """Whether a text that is no JSON may be mended."""

    def model_post_init(self, context: Any, /) -> None:
        """Check the schema itself."""
        del context
        try:
            _ = self._validator
        except (ValueError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
            raise DefinitionError("JsonSchema", [f"document is not a JSON Schema: {error}"]) from error

    @cached_property
    def _validator(self) -> Any:
        def refuse(uri: str) -> Any:
            raise ValueError(f"the remote schema {uri} is not fetched: put it into $defs")

        return jsonschema_rs.validator_for(self.document, retriever=refuse, validate_formats=self.formats)

    async def check(self, item: GuardItem) -> list[tuple[str, Verdict]]:
        """Validate each field of a mapping, or the value itself where it is none."""
        may_repair = self.repair and not (item.stage is Stage.TOOL_ARGUMENTS and item.effect != "read")
        if not isinstance(item.value, Mapping):
            return self._about(item.path, item.value, may_repair)
        fields = cast("Mapping[str, Any]", item.value)
        return [one for name, value in fields.items() for one in self._about(name, value, may_repair)]

    def _about(self, path: str, value: Any, may_repair: bool) -> list[tuple[str, Verdict]]:
        said = f"{path or 'it'} is not JSON"
        if isinstance(value, str):
            try:
                value = read_json(value)
            except (ValueError, RecursionError) as error:
                mended = _mended(value) if may_repair else None
                if mended is not None and self._fault(mended) is None:
                    fixed = json.dumps(mended, ensure_ascii=False)
                    return [(path, Verdict(action=Action.FIX, reason=f"{said}, and was mended: {error}", value=fixed))]
                return [(path, self._verdict(f"it is not JSON: {error}"))]
        fault = self._fault(value)
        return [] if fault is None else [(path, self._verdict(fault))]

    def _fault(self, value: Any) -> str | None:
        error = next(iter(self._validator.iter_errors(value)), None)
        if error is None:
            return None
        at = "/".join(str(part) for part in error.instance_path)
        return f"{f'at /{at}: ' if at else ''}{error.message}"

    def _verdict(self, reason: str) -> Verdict:
        return Verdict(action=Action(self.action), reason=reason[:_LONGEST_REASON])


def read_json(text: str) -> Any:
    """Read JSON as its standard says: no NaN, no infinity, and no number that becomes one.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested too deep.
    """
    return json.loads(text, parse_constant=_no_number, parse_float=_finite)


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text[:20]} is too large")
    return number


def _mended(text: str) -> Any:
    """Give what a text would be as JSON; None where that is nothing, or nothing that JSON can say."""
    if len(text) > _LONGEST_MENDED:
        return None
    try:
        mended: Any = json_repair.loads(text, skip_json_loads=True)
        return None if mended in ("", None) else read_json(json.dumps(mended))
    except (ValueError, RecursionError, TypeError):
        return None
