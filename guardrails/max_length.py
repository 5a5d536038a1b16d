"""MaxLength: no text is longer than it may be."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import re2
from pydantic import Field

from engine import Action, GuardItem, Guardrail, Verdict
from guardrails.patterns import encodable

_ENDS = re2.compile(r"[.!?。！？][\"'”)\]]*\s")  # noqa: RUF001


class MaxLength(Guardrail):
    """Turns down a text of too many characters, or cuts it at the end of a sentence (action fix)."""

    labels: ClassVar[Sequence[str] | None] = ()

    characters: int = Field(ge=1)
    """The most characters of one text."""
    action: Literal["block", "fix", "flag"] = "block"
    """What is done about a longer text; fix cuts it."""

    def check_text(self, text: str, item: GuardItem) -> Verdict:
        """Measure one text."""
        if len(text) <= self.characters:
            return Verdict(action=Action.ALLOW)
        reason = f"{item.path or 'the text'} has {len(text):,} characters, and {self.characters:,} are allowed"
        return Verdict(
            action=Action(self.action), reason=reason, value=self._cut(text) if self.action == "fix" else None
        )

    def _cut(self, text: str) -> str:
        """Cut at the last end of a sentence that leaves at least half, else where the limit is."""
        head = text[: self.characters]
        ends: list[int] = [match.end() for match in _ENDS.finditer(encodable(head))]
        return head[: ends[-1]].rstrip() if ends and ends[-1] >= self.characters // 2 else head
