"""What is known of a tool before it is called: its name, its parameters and whether arguments fit them."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast, get_type_hints

import jsonschema_rs
from langchain_core.tools import BaseTool
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from engine.definition.by_path import faults_of, function_of
from engine.errors import DefinitionError, ToolFailed

IDEMPOTENCY_KEY = "idempotency_key"


@dataclass(frozen=True)
class ToolSignature:
    """A tool's name and parameters.

    Attributes:
        name: how models, reports and allow-lists call it.
        description: what it does.
        parameters: JSON Schema of its arguments.
        types: the declared types of its parameters, where Python knows them.
        required: the parameters without a default.
        returns: the declared type of its answer; Any is "not known".
        takes_idempotency_key: whether the engine hands it a key.
        effect: what it does to the world, where its maker says so.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    types: Mapping[str, Any]
    required: frozenset[str]
    returns: Any
    takes_idempotency_key: bool
    _check: Callable[[dict[str, Any]], dict[str, Any]]
    effect: str | None = None

    def effect_faults(self, effect: str) -> list[str]:
        """Compare its maker's effect with the one that a node declares."""
        if self.effect in (None, effect):
            return []
        return [
            f"the tool {self.name!r} is declared {self.effect!r} by its maker, and {effect!r} here: make them agree"
        ]

    def as_function(self) -> dict[str, Any]:
        """Give the tool as models are told of it."""
        described = {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}
        return {"type": "function", "function": described}

    def check(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Check arguments against the schema and give them as the tool takes them.

        Raises:
            ToolFailed: an argument is missing, unknown or of the wrong type.
        """
        try:
            return self._check(dict(arguments))
        except ValidationError as error:
            faults = "; ".join(faults_of(error))
        except jsonschema_rs.ValidationError as error:
            faults = error.message
        raise ToolFailed(f"the arguments do not fit the tool {self.name!r}: {faults}")


class _Same:
    """Compares by identity, since LangChain tools cannot be hashed."""

    __slots__ = ("tool",)

    def __init__(self, tool: Any) -> None:
        self.tool = tool

    def __hash__(self) -> int:
        return id(self.tool)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.tool is self.tool


def signature_of(tool: Any) -> ToolSignature:
    """Read the signature of a LangChain tool or typed function.

    Raises:
        DefinitionError: it is neither, or a parameter has no type.
    """
    return _signature(_Same(tool))


def signature_of_model(model: type[BaseModel], name: str, description: str) -> ToolSignature:
    """Give the signature of a tool whose arguments are an object of this shape."""
    types = {field: info.annotation for field, info in model.model_fields.items()}
    return ToolSignature(
        name=name,
        description=description,
        parameters=model.model_json_schema(),
        types=types,
        required=frozenset(field for field, info in model.model_fields.items() if info.is_required()),
        returns=Any,
        takes_idempotency_key=False,
        _check=_checker(model),
    )


@lru_cache(maxsize=1024)
def _signature(same: _Same) -> ToolSignature:
    tool = same.tool
    if isinstance(tool, BaseTool):
        return _of_langchain(tool)
    if not callable(tool):
        raise DefinitionError(
            f"the tool {tool!r}", ["a LangChain tool or a function with typed parameters is expected"]
        )
    return _of_function(tool)


def _of_langchain(tool: BaseTool) -> ToolSignature:
    schema = tool.tool_call_schema
    if isinstance(schema, dict):
        parameters, check = schema, _schema_checker(schema)
        types: dict[str, Any] = dict.fromkeys(parameters.get("properties", {}), Any)
        required = frozenset[str](parameters.get("required", ()))
    else:
        model = cast("type[BaseModel]", schema)
        parameters, check = model.model_json_schema(), _checker(model)
        types = {name: info.annotation for name, info in model.model_fields.items()}
        required = frozenset(name for name, info in model.model_fields.items() if info.is_required())
    function = function_of(tool)
    hints = get_type_hints(function) if inspect.isfunction(function) else {}
    return ToolSignature(
        name=tool.name,
        description=tool.description,
        parameters=parameters,
        types=types,
        required=required,
        returns=Any if tool.response_format == "content_and_artifact" else hints.get("return", Any),
        takes_idempotency_key=IDEMPOTENCY_KEY in hints,
        _check=check,
        effect=getattr(tool, "effect", None),
    )


def _of_function(function: Callable[..., Any]) -> ToolSignature:
    name = getattr(function, "__name__", type(function).__name__)
    hints = get_type_hints(function)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == IDEMPOTENCY_KEY:
            continue
        if parameter.name not in hints or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise DefinitionError(f"the tool {name!r}", [f"its parameter {parameter.name!r} needs a type"])
        default = Field() if parameter.default is parameter.empty else Field(default=parameter.default)
        fields[parameter.name] = (hints[parameter.name], default)
    model = create_model(name, __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True), **fields)
    return replace(
        signature_of_model(model, name, inspect.getdoc(function) or ""),
        types={field: kind for field, (kind, _) in fields.items()},
        returns=hints.get("return", Any),
        takes_idempotency_key=IDEMPOTENCY_KEY in hints,
    )


def _checker(model: type[BaseModel]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def check(arguments: dict[str, Any]) -> dict[str, Any]:
        checked = vars(model.model_validate(arguments))
        return {name: checked[name] for name in arguments}

    return check


def _schema_checker(schema: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    validator = jsonschema_rs.validator_for(schema)

    def check(arguments: dict[str, Any]) -> dict[str, Any]:
        validator.validate(arguments)
        return arguments

    return check
