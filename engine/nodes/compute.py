"""Compute: a pure function of some fields, written into others."""

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

from engine.definition.by_path import Code, Many
from engine.definition.node import Node, StepContext, Update
from engine.definition.state import State
from engine.definition.text_origin import TextOrigin
from engine.definition.tool import ToolSignature, signature_of
from engine.errors import NodeFailed


class Compute(Node):
    """Call a function whose parameters are named like the fields it reads, and write what it returns.

    The function is quick and touches nothing outside: what does, is a tool. It may be async.
    """

    brings: ClassVar[TextOrigin | None] = None

    function: Code
    """The function, or its import path."""
    into: str | Many[str]
    """The field for the result; several fields take a function that returns a dictionary with these keys."""

    @property
    def signature(self) -> ToolSignature:
        """The function's parameters and result."""
        return signature_of(self.function.load())

    @property
    def reads(self) -> tuple[str, ...]:
        """The function's parameters."""
        return tuple(self.signature.types)

    @property
    def writes(self) -> Mapping[str, Any]:
        """The result, or its keys."""
        if isinstance(self.into, str):
            return {self.into: self.signature.returns}
        return dict.fromkeys(self.into, Any)

    def faults(self, state: type[State]) -> list[str]:
        """Check that there is something to write."""
        del state
        return [] if self.into else ["into names no field"]

    async def run(self, inputs: Mapping[str, Any], ctx: StepContext) -> Update:
        """Call the function."""
        del ctx
        function = self.function.load()
        result = await call(function, signature_of(function).check(inputs))
        if isinstance(self.into, str):
            return {self.into: result}
        if not isinstance(result, Mapping) or set(result) != set(self.into):  # pyright: ignore[reportUnknownArgumentType]
            raise NodeFailed(f"{self.signature.name} must return a dictionary with the keys {', '.join(self.into)}")
        return dict(result)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


async def call(function: Any, arguments: Mapping[str, Any]) -> Any:
    """Call a function or coroutine function with keyword arguments."""
    result = function(**arguments)
    return await result if inspect.isawaitable(result) else result
