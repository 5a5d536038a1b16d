"""Choose one of several options by the words that a message shares with their names and descriptions."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from engine.models.extractive.terms import alike, terms

_DESCRIBING: Any = re2.compile(
    r"^\s*(?:[-*+•]|\d{1,2}[.)])?\s*[`\"'*]*([^:`\"'*\n]{1,60}?)[`\"'*]*\s*(?::|\x{2013}|\x{2014}| - )\s*(\S.*)$"
)
_CATCHES_ALL: Any = re2.compile(
    r"(?i)\b(?:anything|everything|none|nothing|any) (?:else|other|of (?:these|the above))\b|\bother(?:wise)?\b"
)
_NO_CHOICE = frozenset({"other", "none", "unknown", "general", "misc", "else", "unclear"})
_NAME_COUNTS, _ALIKE = 2.0, 0.7


@dataclass(frozen=True, slots=True)
class Described:
    """What lines like `- refund: money back, a charge` say of options, by the option's name in lower case."""

    words: Mapping[str, str]

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Described":
        """Read the describing lines of some texts; a name that is described again keeps its last description."""
        found = (_DESCRIBING.match(line) for text in texts for line in text.splitlines())
        return cls({match.group(1).strip().lower(): match.group(2) for match in found if match})

    def without(self, text: str) -> str:
        """Leave list lines that describe out of a text: they speak of the options, not of the message."""
        kept = [
            line for line in text.splitlines() if not (line.lstrip()[:2] in {"- ", "* "} and _DESCRIBING.match(line))
        ]
        return "\n".join(kept).strip()


def options_of(schema: Mapping[str, Any]) -> list[Any]:
    """Give the values that a schema allows, if it lists them."""
    if "const" in schema:
        return [schema["const"]]
    return list(schema.get("enum") or [])


def choose(options: Sequence[Any], message: str, described: Described, default: Any = None) -> Any:
    """Choose the option that shares the most telling words with a message.

    Where none shares any: the default, else an option that stands for everything else, else the last.
    """
    words = {index: _words(option, described) for index, option in enumerate(options)}
    having: Counter[str] = Counter(stem for own in words.values() for stem in own)
    said = set(terms(message))
    scores = [
        sum(
            weight * math.log((len(options) + 1) / having[stem]) * _presence(stem, said)
            for stem, weight in words[index].items()
        )
        for index in range(len(options))
    ]
    best = max(range(len(options)), key=lambda index: (scores[index], -index))
    if scores[best] > 0:
        return options[best]
    return default if default in options else _left_over(options, described)


def named_in(option: Any, message: str, described: Described) -> bool:
    """Tell whether a message has a word of an option's name or description."""
    said = set(terms(message))
    return any(_presence(stem, said) for stem in _words(option, described))


def _words(option: Any, described: Described) -> dict[str, float]:
    name = str(option)
    weights = dict.fromkeys(terms(described.words.get(name.lower(), "")), 1.0)
    return weights | dict.fromkeys(terms(name.replace("_", " ").replace("-", " ")), _NAME_COUNTS)


def _presence(stem: str, said: set[str]) -> float:
    if stem in said:
        return 1.0
    return _ALIKE if any(alike(stem, other) for other in said) else 0.0


def _left_over(options: Sequence[Any], described: Described) -> Any:
    for option in options:
        name = str(option).lower()
        if name in _NO_CHOICE or _CATCHES_ALL.search(described.words.get(name, "")):
            return option
    return options[-1]
