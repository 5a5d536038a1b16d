"""Fill an object that fits a JSON Schema by matching words: options, quotes, numbers and yes or no."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import re2
from langchain_core.messages import BaseMessage, HumanMessage

from engine.models.extractive.options import Described, choose, named_in, options_of
from engine.models.extractive.passages import read
from engine.models.extractive.quoting import DO_NOT_KNOW, quotes
from engine.models.extractive.terms import terms
from engine.models.tokens import estimate

_NUMBER: Any = re2.compile(r"(?:^|[^\w.])(-?\d[\d,]*(?:\.\d+)?)")
_NOT: Any = re2.compile(r"(?i)\b(?:no|not|never|none|without|nothing|cannot|nicht|kein\w*)\b|n't\b")
_LONGEST_TEXT = 300
_SHAPES = ("pattern", "format", "patternProperties", "propertyNames", "not", "if", "contains", "prefixItems")

Schema = Mapping[str, Any]


def fill(schema: Schema, messages: Sequence[BaseMessage], max_tokens: int | None = None) -> str:
    """Write a JSON object that fits a schema.

    Args:
        schema: an object whose properties are options (enum, const), texts, numbers, booleans, null, and objects and
            arrays of these; `$ref`, `anyOf` and `oneOf` of these too.
        messages: what the values are taken from.
        max_tokens: the most tokens of the JSON; texts are shortened to fit.

    Raises:
        ValueError: the schema asks for something that matching words cannot give.
    """
    filler = _Filler.of(schema, messages)
    if filler.kind_of(schema) != "object":
        raise ValueError("the embedded model fills objects only: give a JSON Schema of type object")
    longest = _LONGEST_TEXT
    written = json.dumps(filler.value(schema, "object"), ensure_ascii=False)
    while max_tokens is not None and estimate(written) > max_tokens and longest > 1:
        longest //= 2
        filler.longest = longest
        written = json.dumps(filler.value(schema, "object"), ensure_ascii=False)
    return written


@dataclass(slots=True)
class _Filler:
    """What values are taken from.

    Attributes:
        root: the whole schema, for references.
        message: the last human message without lines that describe options.
        described: what the messages say of options.
        answer: the quotes that answer the message's question, as one text; empty if nothing matches.
        longest: the most characters of a text.
    """

    root: Schema
    message: str
    described: Described
    answer: str
    longest: int = _LONGEST_TEXT

    @classmethod
    def of(cls, schema: Schema, messages: Sequence[BaseMessage]) -> "_Filler":
        human = [str(message.text) for message in messages if isinstance(message, HumanMessage)]
        described = Described.of([str(message.text) for message in messages])
        asked = read(messages)
        quoted = " ".join(quote.text for quote in quotes(asked.question, asked.passages))
        subject = asked.question if asked.passages else described.without(human[-1] if human else "")
        return cls(schema, subject, described, quoted or (DO_NOT_KNOW if asked.passages else ""))

    def value(self, schema: Schema, name: str, depth: int = 0) -> Any:
        if depth > 8:
            raise ValueError(f"the embedded model cannot fill {name!r}: the schema is nested too deeply")
        schema = self._resolved(schema, name)
        shapes = [shape for shape in _SHAPES if shape in schema]
        if shapes and "default" in schema:
            return schema["default"]
        if shapes:
            raise ValueError(f"the embedded model cannot fill {name!r}: its schema asks for {', '.join(shapes)}")
        options = options_of(schema)
        if options:
            return choose(options, self.message, self.described, schema.get("default"))
        return self._of_kind(schema, name, depth)

    def _of_kind(self, schema: Schema, name: str, depth: int) -> Any:
        kind = self.kind_of(schema)
        if kind == "object":
            return self._object(schema, name, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind == "string":
            return self._text(schema, name)
        if kind in {"integer", "number"}:
            return self._number(schema, name, whole=kind == "integer")
        if kind == "boolean":
            return self._yes_or_no(schema, name)
        if kind == "null":
            return None
        raise ValueError(f"the embedded model cannot fill {name!r}: its schema names no type that it knows")

    def kind_of(self, schema: Schema) -> str | None:
        """Give the type of a value; of several the first that is not null."""
        kind: Any = self._resolved(schema, "object").get("type") or ("object" if "properties" in schema else None)
        if isinstance(kind, list):
            kinds = cast("list[str]", kind)
            return next((one for one in kinds if one != "null"), "null")
        return cast("str | None", kind)

    def _resolved(self, schema: Schema, name: str) -> Schema:
        """Follow references and take the first alternative that is not null."""
        for _ in range(20):
            alternatives: list[Schema] = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf") or []
            if "$ref" in schema:
                schema = {**self._referred(str(schema["$ref"]), name), **_beside(schema, "$ref")}
            elif "allOf" in schema and len(alternatives) > 1:
                raise ValueError(f"the embedded model cannot fill {name!r}: its schema asks for allOf")
            elif alternatives:
                chosen = next((one for one in alternatives if one.get("type") != "null"), alternatives[0])
                schema = {**chosen, **_beside(schema, "anyOf", "oneOf", "allOf")}
            else:
                return schema
        raise ValueError(f"the embedded model cannot fill {name!r}: its schema refers to itself")

    def _referred(self, reference: str, name: str) -> Schema:
        found: Any = self.root
        for part in reference.removeprefix("#").strip("/").split("/") if reference.startswith("#/") else ["?"]:
            found = cast("Schema", found).get(part) if isinstance(found, Mapping) else None
        if not isinstance(found, Mapping):
            raise ValueError(f"the embedded model cannot fill {name!r}: its schema refers to {reference}")
        return cast("Schema", found)

    def _object(self, schema: Schema, name: str, depth: int) -> dict[str, Any]:
        properties: Mapping[str, Schema] = schema.get("properties") or {}
        required: list[str] = schema.get("required") or []
        missing = [one for one in required if one not in properties]
        if missing or schema.get("minProperties", 0) > len(properties):
            raise ValueError(f"the embedded model cannot fill {name!r}: it requires properties that are not described")
        return {key: self.value(one, key, depth + 1) for key, one in properties.items()}

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        items: Schema = schema.get("items") or {}
        fewest = int(schema.get("minItems", 0))
        if not items or schema.get("maxItems") == 0:
            if fewest:
                raise ValueError(f"the embedded model cannot fill {name!r}: its items are not described")
            return []
        options = options_of(self._resolved(items, name))
        named = [option for option in options if named_in(option, self.message, self.described)]
        if options and len(named) >= fewest:
            return named[: schema.get("maxItems")]
        if schema.get("uniqueItems") and fewest > 1:
            raise ValueError(f"the embedded model cannot fill {name!r}: it asks for several different items")
        return [self.value(items, name, depth + 1)] * max(1, fewest)

    def _text(self, schema: Schema, name: str) -> str:
        fewest = int(schema.get("minLength", 0))
        most = min(int(schema.get("maxLength", self.longest)), max(self.longest, fewest))
        text = _shortened(self.answer or " ".join(self.message.split()), most)
        if len(text) >= fewest:
            return text
        if isinstance(schema.get("default"), str):
            return schema["default"]
        longer = " ".join(self.message.split())[:most]
        if len(longer) < fewest:
            raise ValueError(f"the embedded model cannot fill {name!r}: it finds no text of {fewest} characters")
        return longer

    def _number(self, schema: Schema, name: str, *, whole: bool) -> int | float:
        found: list[str] = _NUMBER.findall(self.message)
        given = [float(number.replace(",", "")) for number in found]
        lowest = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        tries = [*given, schema.get("default"), lowest, math.floor(lowest) + 1, schema.get("maximum"), 0]
        for number in tries:
            if isinstance(number, int | float) and _allowed(number, schema, whole=whole):
                return int(number) if whole or float(number).is_integer() else number
        raise ValueError(f"the embedded model cannot fill {name!r}: it finds no number within its limits")

    def _yes_or_no(self, schema: Schema, name: str) -> bool:
        asked = set(terms(f"{name.replace('_', ' ')} {schema.get('description', '')}"))
        lines = [line for line in self.message.splitlines() if asked & set(terms(line))]
        if not lines:
            return bool(schema.get("default", False))
        return not any(_NOT.search(line) for line in lines)


def _beside(schema: Schema, *names: str) -> Schema:
    return {key: value for key, value in schema.items() if key not in names}


def _shortened(text: str, most: int) -> str:
    """Cut a text behind its last whole word."""
    if len(text) <= most:
        return text
    return text[: most + 1].rpartition(" ")[0] or text[:most]


def _allowed(number: float, schema: Schema, *, whole: bool) -> bool:
    step = schema.get("multipleOf")
    return (
        (not whole or float(number).is_integer())
        and number >= schema.get("minimum", -math.inf)
        and number <= schema.get("maximum", math.inf)
        and number > schema.get("exclusiveMinimum", -math.inf)
        and number < schema.get("exclusiveMaximum", math.inf)
        and (step is None or math.isclose(number / step, round(number / step)))
    )
