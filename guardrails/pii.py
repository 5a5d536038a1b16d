"""Pii: masks, cuts out or refuses personal data that can be told by its form."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from engine import Action, GuardItem, Guardrail, Span, Verdict
from guardrails.normalise import fold, words_before
from guardrails.personal_data import FINDERS, Kind, without_overlaps
from guardrails.taking_out import to_the_end

_NAMES = {
    "card": "card number",
    "iban": "IBAN",
    "email": "e-mail address",
    "ip": "IP address",
    "phone": "phone number",
}
_LONGEST = 80  # visible characters: an IBAN with a gap after each has 67

_CHECKED = {"CARD", "IBAN"}  # those that have check digits


class Pii(Guardrail):
    """Finds cards, IBANs, e-mail addresses, IP addresses and phone numbers, in disguise too.

    Cards and IBANs must agree with their check digits. Names, street addresses, dates and national ids are not found:
    that takes a model, which this guardrail does not have.
    """

    labels: ClassVar[Sequence[str] | None] = tuple(kind.upper() for kind in FINDERS)

    action: Literal["mask", "redact", "hash", "tokenise", "block", "flag"] = "mask"
    """What is done: [EMAIL] in its place, nothing, a mark of it, a token that can be put back, the run ends, or it is
    only written down."""
    kinds: tuple[Kind, ...] = Field(default=("card", "iban", "email", "ip", "phone"), min_length=1)
    """What is looked for."""
    regions: tuple[str, ...] = ("US", "GB", "DE", "FR", "ES", "IT", "IN")
    """Countries whose way to write phone numbers without a country code is known, as two letters."""
    allow: tuple[str, ...] = ()
    """Texts that may stay, as in 'help@acme.com', or with all addresses of a domain, '@acme.com'."""

    def settled(self, text: str) -> int:
        """Hold back what may become personal data, unless it would turn the whole text down."""
        return 0 if self.action == "block" else words_before(text, _LONGEST)

    def check_text(self, text: str, item: GuardItem) -> Verdict:
        """Say where personal data stands in a text."""
        spans = to_the_end(text, self._find, self.action)
        if not spans:
            return Verdict(action=Action.ALLOW)
        return Verdict(
            action=Action(self.action),
            reason=_sentence(span.label.lower() for span in spans),
            score=1.0 if any(span.label in _CHECKED for span in spans) else 0.9,
            spans=tuple(spans),
        )

    def _find(self, text: str) -> list[Span]:
        folded = fold(text, one_line=False)
        found = without_overlaps(one for kind in self.kinds for one in FINDERS[kind](folded.text, self.regions))
        allowed = tuple(_bare(fold(one).text) for one in self.allow)
        spans = [
            (folded.span(one.start, one.end), one.kind)
            for one in found
            if not _may_stay(folded.text[one.start : one.end], allowed)
        ]
        return [Span(start=start, end=end, label=kind.upper()) for (start, end), kind in spans]


def _bare(text: str) -> str:
    return text.replace(" ", "").replace("-", "")


def _may_stay(text: str, allowed: tuple[str, ...]) -> bool:
    return any(_bare(text) == one or (one.startswith("@") and _bare(text).endswith(one)) for one in allowed)


def _sentence(found: Iterable[str]) -> str:
    counts = Counter(found)
    kinds = [
        f"{count} {_NAMES[kind]}{'es' * (_NAMES[kind][-1] == 's') or 's' if count > 1 else ''}"
        for kind, count in counts.items()
    ]
    return f"the text holds {' and '.join(kinds)}"
