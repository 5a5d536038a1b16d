"""The most that a node can ask of a model."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class CallBound:
    """The most that one node can ask of one model role in one run.

    Attributes:
        node: the node, behind the names of what it is inside of; empty for the node that is asked itself.
        role: the model role.
        calls: attempts in all.
        max_tokens: tokens that one answer may have.
        max_input_tokens: tokens that one request may have, where the node says so.
        or_roles: other roles, one of which may be asked instead.
    """

    node: str
    role: str
    calls: int
    max_tokens: int
    max_input_tokens: int | None
    or_roles: tuple[str, ...] = ()

    def inside(self, name: str, times: int = 1) -> "CallBound":
        """Give the same for what is inside something, and done so often."""
        return replace(self, node=f"{name}/{self.node}" if self.node else name, calls=self.calls * times)
