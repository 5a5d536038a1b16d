"""ToolAllowList: only listed tools are called."""

from engine import Action, GuardItem, Guardrail, Verdict


class ToolAllowList(Guardrail):
    """Blocks the call of a tool that is not on the list, by name; it says nothing about the arguments."""

    tools: tuple[str, ...]
    """The tools that may be called."""

    async def check(self, item: GuardItem) -> list[tuple[str, Verdict]]:
        """Look the tool up."""
        if item.tool is None or item.tool in self.tools:
            return []
        allowed = ", ".join(self.tools) or "none"
        reason = f"the tool {item.tool!r} is not on the list of allowed tools ({allowed})"
        return [(item.path, Verdict(action=Action.BLOCK, reason=reason))]
