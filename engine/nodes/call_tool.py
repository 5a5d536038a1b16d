"""CallTool: call a tool with arguments from the state."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from engine.definition.by_path import Code
from engine.definition.fits import can_hold, show
from engine.definition.guardrail import Stage
from engine.definition.node import Effect, Node, StepContext, Update
from engine.definition.state import State, fields_of
from engine.definition.tool import ToolSignature, signature_of


class CallTool(Node):
    """Call a LangChain tool or typed function and write its answer.

    Arguments are checked against the tool's schema before it is called. A function that has a parameter
    `idempotency_key` is handed one: the same for the same arguments in the same run.
    """

    input_stage: ClassVar[Stage] = Stage.TOOL_ARGUMENTS
    output_stage: ClassVar[Stage] = Stage.TOOL_OUTPUT

    tool: Code
    """The tool, or its import path."""
    args: Mapping[str, str] = Field(default_factory=dict)
    """The tool's parameters, each with the field that holds its value."""
    constants: Mapping[str, Any] = Field(default_factory=dict)
    """The tool's parameters that always have the same value."""
    into: str | None = None
    """The field for the answer."""
    backup: Code | None = None
    """A tool with the same parameters, called when this one fails and surely has not acted."""
    effect: Effect = "once"
    """What the tool does to the world: `read`, `idempotent` or `once`."""
    probe: Code | None = None
    """A function that gets an idempotency key and gives the tool's answer under it, or None if it has not acted."""
    approval: str | None = Field(default=None, min_length=1)
    """What a person is asked before the call, a sentence; they see the tool and its arguments, and the run waits."""

    restores: bool = False
    """Whether the tool gets what the tokens in its arguments stand for; what it says of that is tokens again."""

    @property
    def signature(self) -> ToolSignature:
        """The tool's name and parameters."""
        return signature_of(self.tool.load())

    @property
    def reads(self) -> tuple[str, ...]:
        """The fields that hold arguments."""
        return tuple(dict.fromkeys(self.args.values()))

    @property
    def writes(self) -> Mapping[str, Any]:
        """The answer."""
        return {self.into: self.signature.returns} if self.into else {}

    @property
    def tool_name(self) -> str | None:
        """The tool, by name."""
        return self.signature.name

    def arguments(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give each parameter the value of its field, or its constant."""
        return {**self.constants, **{name: inputs[field] for name, field in self.args.items()}}

    @property
    def calls_per_visit(self) -> int:
        """One call."""
        return 1

    def faults(self, state: type[State]) -> list[str]:
        """Check that the arguments cover the tool's parameters and fit their types."""
        signature, fields = self.signature, fields_of(state)
        given = {**self.args, **self.constants}
        faults = [
            f"the tool {signature.name!r} has no parameter {name!r}; its parameters are {', '.join(signature.types)}"
            for name in given
            if name not in signature.types
        ]
        faults += [
            f"the tool {signature.name!r} needs the parameter {name!r}: add it to args or constants"
            for name in sorted(signature.required - set(given))
        ]
        faults += signature.effect_faults(self.effect)
        if self.backup is not None and (other := signature_of(self.backup.load())).types != signature.types:
            faults.append(f"its backup {other.name!r} does not have the parameters of {signature.name!r}")
        if self.probe is not None and self.effect != "once":
            faults.append(f"a probe is for tools with effect 'once', and this one's is {self.effect!r}: leave it out")
        if self.cache is not None and self.effect != "read":
            faults.append(f"a tool with effect {self.effect!r} cannot have a cache: what it does would be left out")
        for name, field in self.args.items():
            if name in signature.types and field in fields:
                kind, held = signature.types[name], fields[field].annotation
                if not can_hold(kind, _without_none(held)):
                    faults.append(f"the parameter {name!r} takes {show(kind)}, and {field!r} holds {show(held)}")
        return faults

    async def run(self, inputs: Mapping[str, Any], ctx: StepContext) -> Update:
        """Call the tool."""
        arguments = self.arguments(inputs)
        answer = await ctx.call_tool(
            self.tool,
            arguments,
            effect=self.effect,
            probe=self.probe,
            approval=self.approval,
            backup=self.backup,
            restores=self.restores,
        )
        return {self.into: answer} if self.into else {}


def _without_none(annotation: Any) -> Any:
    """Take None out of `X | None`: whether a value is there is known only when the tool is called."""
    parts = [part for part in getattr(annotation, "__args__", ()) if part is not type(None)]
    optional = len(parts) == 1 and type(None) in getattr(annotation, "__args__", ())
    return parts[0] if optional else annotation
