"""A tool as an agent has it: what it does to the world, whether a person is asked first, how often it may be called."""

from pydantic import Field

from engine.definition.by_path import Code, Frozen
from engine.definition.node import Effect
from engine.definition.tool import ToolSignature, signature_of


class AgentTool(Frozen):
    """A LangChain tool or typed function that an agent's model may ask for.

    `effect` has no default here: a model decides when the tool is called, so its author says what that does.
    """

    tool: Code
    """The tool, or its import path."""
    effect: Effect
    """What the tool does to the world: `read`, `idempotent` or `once`."""
    probe: Code | None = None
    """A function that gets an idempotency key and gives the tool's answer under it, or None if it has not acted."""
    approval: bool | str = False
    """Whether a person is asked before each call; a text is what they are asked."""
    wait_seconds: float | None = Field(default=None, gt=0)
    """How long the run waits for the person; after that the call counts as refused. None for ever."""
    max_calls: int | None = Field(default=None, ge=1)
    """How often one visit of the agent may call it; None as often as its rounds allow."""

    restores: bool = False
    """Whether it gets what the tokens in its arguments stand for: for a tool that may know what the model may not."""

    @property
    def signature(self) -> ToolSignature:
        """The tool's name and parameters."""
        return signature_of(self.tool.load())

    @property
    def name(self) -> str:
        """What the model calls it."""
        return self.signature.name

    @property
    def faults(self) -> list[str]:
        """What is wrong with it, a sentence each."""
        faults = self.signature.effect_faults(self.effect)
        if self.probe is not None and self.effect != "once":
            faults.append(
                f"the tool {self.name!r} has a probe, which is for effect 'once', and its effect is {self.effect!r}: "
                "leave the probe out"
            )
        if self.wait_seconds is not None and not self.approval:
            faults.append(f"the tool {self.name!r} has wait_seconds and no approval to wait for: leave one out")
        return faults

    def asks(self, node: str) -> str | None:
        """Give what a person is asked before a call; None where nobody is."""
        if not self.approval:
            return None
        return self.approval if isinstance(self.approval, str) else f"May {node!r} call {self.name}?"
