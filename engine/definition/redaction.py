"""Redaction: what must be neither kept nor told is taken out of every text of a run, wherever it comes from."""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any, cast

from engine.definition.guardrail import Action, GuardItem, Guardrail, Stage
from engine.errors import ConfigurationError

_CARRIED_OUT = frozenset({Action.MASK, Action.REDACT, Action.FIX})


class Redaction:
    """Masks or cuts out what guardrails find: in what a run is given, is answered, says of its failures and writes.

    Args:
        guardrails: guardrails that look at texts, each with the action mask, redact or fix.

    Raises:
        ConfigurationError: one of them does something else, or does not look at texts.
    """

    def __init__(self, guardrails: Sequence[Guardrail]) -> None:
        said: Any = guardrails  # whoever writes an app need not check types
        if not isinstance(said, list | tuple) or not all(
            isinstance(one, Guardrail) for one in cast("Sequence[Any]", said)
        ):
            raise ConfigurationError(f"redact={said!r} is no list of guardrails: write redact=[Pii(action='mask')]")
        for guardrail in guardrails:
            name, action = type(guardrail).__name__, getattr(guardrail, "action", Action.MASK)
            if type(guardrail).check_text is Guardrail.check_text:
                raise ConfigurationError(f"redact=[{name}] does not look at single texts: name a guardrail that does")
            if action not in _CARRIED_OUT:
                raise ConfigurationError(f"redact=[{name}] has the action {str(action)!r}: give it action='mask'")
        self._guardrails = tuple(guardrails)

    def text(self, text: str) -> str:
        """Give a text without what is found in it."""
        for guardrail in self._guardrails:
            text = guardrail.check_text(text, GuardItem(stage=Stage.RUN_OUTPUT, value=text)).applied_to(text)
        return text

    def value(self, value: Any) -> Any:
        """Give JSON with every text in it redacted, keys too; where nothing is found it is the same object."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            fields = cast("Mapping[str, Any]", value)
            put = {self.text(key): self.value(inner) for key, inner in fields.items()}
            is_same = all(key in fields and put[key] is fields[key] for key in put) and len(put) == len(fields)
            return fields if is_same else put
        if isinstance(value, list | tuple):
            items = cast("Sequence[Any]", value)
            kept = [self.value(inner) for inner in items]
            return items if all(one is other for one, other in zip(kept, items, strict=True)) else kept
        return value


IN_FORCE: ContextVar[Redaction | None] = ContextVar("redaction", default=None)
"""What redacts the texts of the run that this task works on; None where the app redacts nothing."""
