"""What of its history, passages and tool results a model hears: limits in tokens, as values.

Limits are held against the likely count of tokens, which is within about a tenth of what vendors count; a
`max_input_tokens` bounds the whole request for sure.
"""

from pydantic import Field

from engine.definition.by_path import Frozen
from engine.definition.call_bound import CallBound

FEWEST = 32
"""A limit of fewer tokens would leave out any message."""
SUMMARISE = "summarise"
"""How the step that summarises is called, behind the name of its node."""


class History(Frozen):
    """The turns of the conversation that stand before the last message: the newest that fit both limits.

    With `summarise`, older turns give way to a summary that a cheaper model makes, once for many runs.
    """

    last: int = Field(default=20, ge=1, le=500)
    """How many turns at the most."""
    max_tokens: int | None = None
    """How many tokens at the most, the summary included."""
    summarise: str | None = None
    """The role that summarises what no longer fits; without one it is left out."""
    summary_tokens: int = Field(default=400, ge=FEWEST)
    """The most tokens of a summary."""

    @property
    def roles(self) -> tuple[str, ...]:
        """The role that summarises."""
        return () if self.summarise is None else (self.summarise,)

    def calls(self, attempts: int, max_input_tokens: int | None) -> list[CallBound]:
        """Give the most that one run of a node asks for the sake of its history."""
        return [CallBound(SUMMARISE, role, attempts, self.summary_tokens, max_input_tokens) for role in self.roles]

    def faults(self, max_input_tokens: int | None) -> list[str]:
        """Say which limits cannot be held, a sentence each."""
        faults = _too_few("history", self.max_tokens)
        if self.max_tokens is None or faults:
            return faults
        if self.summarise is not None and self.summary_tokens * 2 > self.max_tokens:
            faults.append(
                f"its history allows {self.max_tokens:,} tokens, and a summary may take {self.summary_tokens:,}: "
                "leave at least half to the turns themselves"
            )
        if max_input_tokens is not None and self.max_tokens >= max_input_tokens:
            faults.append(
                f"its history allows {self.max_tokens:,} tokens, and the whole request {max_input_tokens:,} "
                "(max_input_tokens): lower the one or raise the other"
            )
        return faults


class Passages(Frozen):
    """Which passages of a field a model hears; each keeps its number and its id, so that citations stay true."""

    of: str
    """The field with the passages, which the prompt names."""
    max_tokens: int | None = None
    """How many tokens at the most."""
    query: str | None = None
    """The field whose words say which passages matter most; without one those that come first do."""
    duplicates: float | None = Field(default=0.8, gt=0, le=1)
    """The share of word sequences from which on two passages count as one; None keeps all."""

    def faults(self, named: tuple[str, ...]) -> list[str]:
        """Say what cannot be; `named` are the fields that the prompt names."""
        faults = _too_few("passages", self.max_tokens)
        if self.of not in named:
            faults.append(f"its passages are of {self.of!r}, which its prompt does not name: put {{{self.of}}} there")
        return faults


class ToolResults(Frozen):
    """How much of what tools answered a model hears."""

    max_tokens: int | None = None
    """How many tokens of results at the most; the oldest rounds go first, a call together with its results."""
    each_tokens: int | None = None
    """How many tokens of one result at the most; what is cut off is said so in its place."""

    def faults(self) -> list[str]:
        """Say which limits cannot be held, a sentence each."""
        faults = _too_few("tool results", self.max_tokens) + _too_few("single tool results", self.each_tokens)
        if not faults and self.max_tokens is not None and (self.each_tokens or 0) > self.max_tokens:
            faults.append(
                f"one tool result may have {self.each_tokens:,} tokens, and all of them {self.max_tokens:,}: "
                "lower each_tokens"
            )
        return faults


def _too_few(what: str, tokens: int | None) -> list[str]:
    if tokens is None or tokens >= FEWEST:
        return []
    return [f"its {what} may have {tokens:,} tokens, fewer than one message has: allow at least {FEWEST}"]
