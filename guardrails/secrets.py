"""Secrets: keys, tokens and passwords do not pass, in whichever direction."""

import math
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, ClassVar, Literal, cast

import re2

from engine import Action, GuardItem, Guardrail, Span, Verdict
from engine.definition.by_path import Many
from guardrails.normalise import words_before
from guardrails.patterns import PatternSet, encodable
from guardrails.secret_rules import NAMED, PLACEHOLDERS, SECRET_RULES
from guardrails.taking_out import to_the_end

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_NAMED, _PLACEHOLDER = re2.compile(NAMED), re2.compile(PLACEHOLDERS)
_NAMES = ("key", "secret", "token", "passw", "pwd", "passphrase", "credential")
_CHECKED = {"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "npm_"}
_LENGTH_WITH_CHECK = 40
_LONGEST_NAME = 48  # characters between the name of a secret and its value, and what may touch it behind
_OPEN_KEY = re2.compile(r"-----BEGIN[A-Za-z0-9+/=\s\\:,.\-]*\z")


class Secrets(Guardrail):
    """Finds about fifty formats of keys by prefix, length and checksum where there is one, and what is named a secret.

    A value behind a name like `api_key` or `password` counts if it is as mixed as a secret: `entropy` bits a character,
    with digits and letters. Masked, it leaves its kind: [GITHUB_TOKEN]. What it cannot find: a password that is a word,
    a key of a form nobody listed that nothing names, and one that is split or encoded.
    """

    labels: ClassVar[Sequence[str] | None] = ("SECRET", *dict.fromkeys(rule.label for rule in SECRET_RULES))

    action: Literal["mask", "redact", "hash", "tokenise", "block", "flag"] = "mask"
    """What is done: [AWS_KEY] in its place, nothing, a mark of it, a token that can be put back, the run ends, or it is
    only written down."""
    entropy: float = 3.2
    """How mixed a value behind the name of a secret is at the least, in bits a character."""
    allow: Many[str] = ()
    """Values that may stay, as those that a documentation shows."""

    def settled(self, text: str) -> int:
        """Hold back the last words, and a private key until it ends, unless a secret would turn the whole text down."""
        is_open = _OPEN_KEY.search(encodable(text))
        return (
            0 if self.action == "block" else words_before(text[: is_open.start()] if is_open else text, _LONGEST_NAME)
        )

    def check_text(self, text: str, item: GuardItem) -> Verdict:
        """Look for secrets in one text."""
        found = to_the_end(text, self._find, self.action)
        if not found:
            return Verdict(action=Action.ALLOW)
        kinds = ", ".join(f"{count} of {label}" for label, count in Counter(one.label for one in found).items())
        return Verdict(
            action=Action(self.action), reason=f"the text holds secrets: {kinds}", score=1.0, spans=tuple(found)
        )

    def _find(self, text: str) -> list[Span]:
        text = encodable(text)
        found = _without_overlaps([*_by_form(text), *self._by_name(text)])
        return [one for one in found if text[one.start : one.end] not in self.allow]

    def _by_name(self, text: str) -> Iterator[Span]:
        low = text.casefold()
        if not any(name in low for name in _NAMES):
            return
        for match in _NAMED.finditer(text):
            start, end = cast("tuple[int, int]", match.span(1))
            value = text[start:end].rstrip(".:")
            if _is_mixed(value) and _entropy(value) >= self.entropy and not _PLACEHOLDER.match(value):
                yield Span(start=start, end=start + len(value), label="SECRET")


@cache
def _compiled() -> list[tuple[str, Any]]:
    return [(rule.label, re2.compile(rule.pattern)) for rule in SECRET_RULES]


@cache
def _hints() -> PatternSet:
    """Give what to look for first: a rule is only tried where one of its hints stands."""
    hints = ["|".join(map(cast("Any", re2).escape, rule.hints)) for rule in SECRET_RULES]
    return PatternSet(hints)


def _by_form(text: str) -> Iterator[Span]:
    for number in _hints().found_in(text):
        label, pattern = _compiled()[number]
        for match in pattern.finditer(text):
            group = next((n for n in range(1, pattern.groups + 1) if match.start(n) >= 0), 0)
            value = text[match.start(group) : match.end(group)]
            if label == "PRIVATE_KEY" or (_has_right_check(value) and not _is_for_show(label, value)):
                yield Span(start=match.start(group), end=match.end(group), label=label)


def _has_right_check(value: str) -> bool:
    """Say whether the last six digits are the checksum that GitHub and npm put there; true where there is none."""
    if value[:4] not in _CHECKED or len(value) != _LENGTH_WITH_CHECK:
        return True
    check, digits = zlib.crc32(value[4:-6].encode()), ""
    while check:
        check, rest = divmod(check, len(_DIGITS))
        digits = _DIGITS[rest] + digits
    return digits.rjust(6, "0") == value[-6:]


def _is_for_show(label: str, value: str) -> bool:
    """Say whether a value of the right form is made of one letter, or says that it is none."""
    low, is_word = value.casefold(), label == "LOGIN" and not _is_mixed(value)
    return is_word or len(set(value[len(value) // 4 :])) < 4 or "example" in low or "xxxx" in low


def _is_mixed(value: str) -> bool:
    return any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def _entropy(text: str) -> float:
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values()) if text else 0.0


def _without_overlaps(spans: list[Span]) -> list[Span]:
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept
