"""JsonSchema: a value, or the JSON in a text, fits a schema."""

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, cast

import jsonschema_rs

from engine import Action, DefinitionError, GuardItem, Guardrail, Verdict

_LONGEST_REASON = 300


class JsonSchema(Guardrail):
    """Validates each field of what it looks at; texts are read as JSON first.

    All drafts are known and formats are checked; remote schemas are never fetched.
    It says whether the value fits, not whether what it says is true.
    """

    document: dict[str, Any]
    """The JSON Schema."""
    action: Literal["reask", "block", "flag"] = "reask"
    """What is done about a value that does not fit."""

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

        return jsonschema_rs.validator_for(self.document, retriever=refuse, validate_formats=True)

    async def check(self, item: GuardItem) -> list[tuple[str, Verdict]]:
        """Validate each field of a mapping, or the value itself where it is none."""
        if not isinstance(item.value, Mapping):
            return self._about(item.path, item.value)
        fields = cast("Mapping[str, Any]", item.value)
        return [one for name, value in fields.items() for one in self._about(name, value)]

    def _about(self, path: str, value: Any) -> list[tuple[str, Verdict]]:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError) as error:
                return [
                    (path, Verdict(action=Action(self.action), reason=f"it is not JSON: {error}"[:_LONGEST_REASON]))
                ]
        error = next(iter(self._validator.iter_errors(value)), None)
        if error is None:
            return []
        at = "/".join(str(part) for part in error.instance_path)
        where = f"at /{at}: " if at else ""
        return [(path, Verdict(action=Action(self.action), reason=f"{where}{error.message}"[:_LONGEST_REASON]))]
