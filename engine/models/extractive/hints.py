"""What kind of answer a question asks for, and what such an answer looks like: names, dates, numbers, reasons."""

from collections.abc import Sequence
from typing import Any

import re2

_NUMBERS = (
    r"\d|(?i)\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundreds?"
    r"|thousands?|millions?|billions?|dozens?|half|third|quarter|once|twice|zwei|drei|vier|fünf|sechs|sieben|acht)\b"
)
_DATES = (
    r"\b1\d{3}\b|\b20\d\d\b|(?i)\b(?:january|february|march|april|may|june|july|august|september|october|november"
    r"|december|century|ago|bc|ad|decade|monday|tuesday|wednesday|thursday|friday|saturday|sunday|jahrhundert)\b|年"
)
_NAMES = r"[\p{L}\p{N},;:]\s+\p{Lu}\p{L}+"
_REASONS = (
    r"(?i)\b(?:because|due to|so that|since|in order|therefore|caus\w+|reasons?|result\w*|to avoid|for fear|weil)\b"
    r"|因为|由于"
)
_KINDS: Sequence[tuple[Any, Any]] = tuple(
    (re2.compile(asked), re2.compile(answered))
    for asked, answered in (
        (r"(?i)^\W*(?:\w+\s+){0,3}(?:who|whom|whose|wer|wem|wen|qui|quién)\b|谁|哪位", _NAMES),
        (r"(?i)\b(?:where|(?:what|which) (?:city|country|state|place|region)|wo|woher|wohin|où|dónde)\b|哪里", _NAMES),
        (
            r"(?i)\b(?:when|(?:what|which) (?:year|date|decade|century|month|day)|wann|quand|cuándo)\b|何时|哪一?年",
            _DATES,
        ),
        (
            r"(?i)\bhow (?:many|much|old|long|far|large|big|tall|often|high|wide|fast)\b|\b(?:percentage|number of"
            r"|what percent|rate|wie ?viele?|wie (?:lange|hoch|alt)|combien|cuántos?)\b|多少|几",
            _NUMBERS,
        ),
        (r"(?i)\b(?:why|what (?:cause|reason|led)\w*|warum|wieso|pourquoi)\b|为什么|为何", _REASONS),
    )
)
_DEFINITION: Any = re2.compile(
    r"(?i)^\W*(?:(?:an?|the|eine?|der|die|das)\s+)?\W*[\w-]+(?:\s+[\w-]+){0,3}\W*?(?::|\s(?:is|are|was|were|means|ist|sind)\b)"
)
_DEFINES: Any = re2.compile(r"(?i)^\W*(?:(?:what|who|was|wer) (?:is|are|was|were|ist|sind)|define|what does)\b")


def answered_by(question: str) -> list[Any]:
    """Give the re2 patterns that an answer to the question is likely to match."""
    return [answered for asked, answered in _KINDS if asked.search(question)]


def asks_for_definition(question: str) -> bool:
    """Tell whether a sentence that begins with the thing asked about is likely to answer."""
    return bool(_DEFINES.search(question))


def defines(sentence: str) -> bool:
    """Tell whether a sentence says of its first words what they are: `Run: one way through`, `A run is one way`."""
    return bool(_DEFINITION.search(sentence))
