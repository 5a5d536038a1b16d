"""Code is named by its import path, `module:name`; frozen components carry the path of their class as `kind`."""

import importlib
import inspect
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, Self, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

from engine.errors import DefinitionError


def function_of(target: Any) -> Any:
    """Give the function that a LangChain tool was made of, or the target itself."""
    return getattr(target, "coroutine", None) or getattr(target, "func", None) or target


def path_of(target: Any) -> str:
    """Give the import path of a function, class or LangChain tool.

    Raises:
        DefinitionError: nothing stands under that path: a lambda, a closure or an instance.
    """
    code: Any = function_of(target)
    module, name = getattr(code, "__module__", None), getattr(code, "__qualname__", None)
    if module is None or name is None:
        raise DefinitionError(
            f"{target!r}", ["it has no name of its own to import it by: name it by path, as in 'package.module:name'"]
        )
    if "<" in name:
        what = "a lambda" if "<lambda>" in name else "defined inside another function"
        raise DefinitionError(f"{module}:{name}", [f"it is {what}: move it to the top of a module so it can be named"])
    path = f"{module}:{name}"
    if by_path(path) is not target:
        raise DefinitionError(path, ["another object stands under this name: give each function a name of its own"])
    return path


def by_path(path: str) -> Any:
    """Import what stands under `module:name`.

    Raises:
        DefinitionError: the path is malformed, or nothing stands there.
    """
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        raise DefinitionError(repr(path), ["an import path reads 'package.module:name'"])
    try:
        target: Any = sys.modules.get(module_name) or importlib.import_module(module_name)
        for part in name.split("."):
            target = getattr(target, part)
    except (ImportError, AttributeError) as error:
        raise DefinitionError(repr(path), [f"it cannot be imported: {error}"]) from error
    return target


def source_of(target: Any) -> str:
    """Give the source text of a function, class or tool, or its class's where it is an instance."""
    code: Any = inspect.unwrap(function_of(target))
    return _source_of(code if inspect.isroutine(code) or inspect.isclass(code) else code.__class__)


@lru_cache(maxsize=4096)  # to find a class, the whole of its file is parsed; what is loaded does not change
def _source_of(code: Any) -> str:
    try:
        return inspect.getsource(code)
    except (OSError, TypeError):
        return str(code.__qualname__)


Item = TypeVar("Item")
Many = Annotated[Sequence[Item], AfterValidator(tuple)]
"""A field for several values: give any sequence; it is kept as a tuple."""


class CodePath(str):
    """The import path of code, `module:name`; `load` gives the code."""

    __slots__ = ()

    def load(self) -> Any:
        """Import what stands under the path."""
        return by_path(self)


def to_path(value: Any) -> CodePath:
    """Give the import path of code, once it is sure that it can be imported by it."""
    path = str(value) if isinstance(value, str) else path_of(value)
    by_path(path)
    return CodePath(path)


Code = Annotated[Any, PlainValidator(to_path), PlainSerializer(str, return_type=str)]
"""A field for code: give the object or its import path; it is kept as a CodePath."""


class Frozen(BaseModel):
    """An immutable value that is valid once it is built; its faults are sentences."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise DefinitionError(type(self).__name__, faults_of(error)) from error


class Component(Frozen):
    """A piece of a definition that knows its own kind and survives JSON."""

    @property
    def kind(self) -> str:
        """The import path of the class."""
        return f"{type(self).__module__}:{type(self).__qualname__}"

    @model_serializer(mode="wrap")
    def _with_kind(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"kind": self.kind, **dump(self)}

    @classmethod
    def load(cls, value: Any) -> Self:
        """Make a component of its JSON form; a component passes through.

        Raises:
            DefinitionError: the kind is missing, unknown, or not a kind of this.
        """
        if isinstance(value, cls):
            return value
        fields = dict(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else {}
        if "kind" not in fields:
            raise DefinitionError(repr(cast("object", value)), [f"a {cls.__name__} is expected"])
        path = str(fields.pop("kind"))
        kind = by_path(path)
        if not (inspect.isclass(kind) and issubclass(kind, cls)):
            raise DefinitionError(path, [f"it is not a kind of {cls.__name__}"])
        return kind(**fields)


def faults_of(error: ValidationError) -> list[str]:
    """Say each fault that pydantic found in a sentence of its own."""
    return [
        f"{'.'.join(str(part) for part in fault['loc']) or 'value'}: {_sentence(fault['msg'], fault['input'])}"
        for fault in error.errors(include_url=False)
    ]


def _sentence(message: str, given: Any) -> str:
    text = repr(given)
    shown = text if len(text) <= 80 else f"{text[:77]}..."
    return f"{message[:1].lower()}{message[1:]} (given: {shown})"
