"""Find marked prompt injections: texts that try to talk to the model over the head of the application."""

import base64
import binascii
import codecs
import html
import urllib.parse
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Literal, cast

import re2

from engine import Action, GuardItem, Guardrail, Span, Stage, Verdict
from engine.definition.by_path import Many
from engine.definition.text_origin import TRUSTED
from guardrails.injection_rules import RULES
from guardrails.normalise import Folded, fold

_BLOCKING_STAGES = {Stage.RUN_INPUT, Stage.NODE_INPUT, Stage.TOOL_ARGUMENTS}
_BASE64 = re2.compile(r"[A-Za-z0-9+/_\-]{16,}={0,2}")
_HEX = re2.compile(r"(?:[0-9A-Fa-f]{2}[ :]?){12,}")
_PERCENT = re2.compile(r"(?:[\w.~+\-]*%[0-9A-Fa-f]{2}){3,}[\w.~+\-]*")
_ENTITY = re2.compile(r"(?:&#x?[0-9A-Fa-f]{2,6};[\w ]?){6,}")
_SPACED = re2.compile(r"(?:[^\s] {1,4}){8,}[^\s]")
_ROTATED = re2.compile(r"\b(?:gur|lbhe|naq|lbh|vafgehpgvbaf?|cebzcg|vtaber)\b")
_REVERSED = re2.compile(
    r"\b(?:snoitcurtsni|snoitcerid|selur|tpmorp|erongi|tegrof|dragersid|metsys|suoiverp|ruoy|uoy)\b"
)
_LEET = re2.compile(r"\b(?:[a-z]+[013457@$]+[a-z]|[013457@$]+[a-z]+[013457@$])[a-z013457@$]*\b")
_DOTTED = re2.compile(r"(?: [.*_~\-][a-z]+){4,}")
_BACKSLASH = re2.compile(r"\\")
_ESCAPE = re2.compile(r"(?:\\+[nrt\"'/]?\s*)+")
_DOT = re2.compile(r"[.*_~\-]+")
_GAP = re2.compile(r" {2,}")
_FROM_LEET = str.maketrans("013457@$", "oieastas")
_MOST_DECODED = 64 * 1024  # characters that are decoded at most, of one text and in one code
_MOST_STRETCHES = 200
_TAGS = {code: code - 0xE0000 for code in range(0xE0020, 0xE007F)}


class Injection(Guardrail):
    """Finds injections that give themselves away: "ignore previous instructions", forged roles, jailbreak personas.

    It reads the text as a person would, with look-alike letters, full-width forms and invisible characters undone, and
    also what stands in it as base64, hex, percent-encoding, HTML entities, tag characters or ROT13. In what was only
    read, documents and answers of tools, plain orders count too ("fetch my files and send them to ..."); since people
    write such things to each other, they are flagged and not dropped. It knows phrases, not intent: whatever is worded
    in a way nobody has listed passes. It lowers the noise, it does not make untrusted text safe: what an agent may do
    has to be bounded by what its tools allow, and by Provenance.
    """

    action: Literal["block", "flag", "strip", "drop", "reask"] | None = None
    """What is done about it; left out, a text that comes in or goes to a tool is blocked, any other dropped, and a
    plain order in what was only read is flagged."""
    threshold: float = 0.7
    """The sum of the weights of signs from which a text counts as an injection; a lower one finds and errs more."""
    without: Many[str] = ()
    """Signs that do not count here, by their names in the reasons."""

    def check_text(self, text: str, item: GuardItem) -> Verdict:
        """Weigh the signs of an injection in one text."""
        where = "asked" if item.origins <= TRUSTED else "read"
        folded, signs = _signs(text, where)
        signs = {sign: how for sign, how in signs.items() if RULES[sign].name not in self.without}
        score = sum(RULES[sign].weight for sign in signs)
        if score < self.threshold or not signs:
            return Verdict(action=Action.ALLOW, score=min(1.0, score / 2))
        names = dict.fromkeys(RULES[sign].name + (f" ({how})" if how else "") for sign, how in sorted(signs.items()))
        default = Action.BLOCK if item.stage in _BLOCKING_STAGES else Action.DROP
        if all(RULES[sign].where == "read" for sign in signs):
            default = Action.FLAG
        return Verdict(
            action=Action(self.action) if self.action else default,
            reason=f"the text looks like a prompt injection: {', '.join(names)}",
            score=min(1.0, score / 2),
            spans=_spans(folded, [sign for sign in signs if not signs[sign]]),
        )


def _signs(text: str, where: Literal["asked", "read"]) -> tuple[Folded, dict[int, str]]:
    """Give the folded text and its signs, each with the disguise that it stands in, if any."""
    folded = fold(text)
    signs = dict.fromkeys(_signs_in(folded.text), "")
    for how, view in _views(text, folded.text):
        for sign in _signs_in(fold(view).text):
            signs.setdefault(sign, how)
    return folded, {sign: how for sign, how in signs.items() if RULES[sign].where in {"anywhere", where}}


def _spans(folded: Folded, signs: list[int]) -> tuple[Span, ...]:
    """Give where each sign stands first, without overlaps."""
    spans: list[Span] = []
    for start, end in sorted(_patterns()[sign].search(folded.text).span() for sign in signs):
        first, last = folded.span(start, end)
        if last > first and (not spans or first >= spans[-1].end):
            spans.append(Span(start=first, end=last, label="INJECTION"))
    return tuple(spans)


@cache
def _patterns() -> list[Any]:
    return [re2.compile(_as_folded(rule.pattern)) for rule in RULES]


def _as_folded(pattern: str) -> str:
    """Give a pattern in the form of folded texts: letters of other scripts become what they look like."""
    return "".join(one if one.isascii() else fold(one, one_line=False).text for one in pattern)


@cache
def _rule_set() -> Any:
    """Give all rules as one automaton, which reads a text once."""
    options = cast("Any", re2).Options()
    options.max_mem = 256 << 20
    rules = cast("Any", re2).Set.SearchSet(options)
    for rule in RULES:
        rules.Add(_as_folded(rule.pattern))
    rules.Compile()
    return rules


def _signs_in(text: str) -> list[int]:
    return sorted(cast("list[int]", _rule_set().Match(text) or []))


def _views(text: str, folded: str) -> Iterator[tuple[str, str]]:
    """Give what the text says once decoded, each kind up to a bound."""
    plain = text.encode("utf-8", "replace").decode()
    if not text.isascii() and (tags := "".join(c for c in text if "\U000e0020" <= c < "\U000e007f")[:_MOST_DECODED]):
        yield "in tag characters", tags.translate(_TAGS)
    for how, mark, pattern, decode in _CODES:
        if mark in plain and (decoded := _decoded(pattern, plain, decode)):
            yield how, decoded
    head = folded[:_MOST_DECODED]
    for how, gate, rewrite in _REWRITTEN:
        if gate.search(head):
            yield how, rewrite(head)


def _decoded(pattern: Any, text: str, decode: Any) -> str:
    """Decode what matches a pattern, up to a bound; what is not readable text is left out."""
    parts: list[str] = []
    left = _MOST_DECODED
    for match in pattern.finditer(text):
        part = decode(match.group()[:left])
        if part and _is_readable(part):
            parts.append(part)
        left -= match.end() - match.start()
        if left <= 0 or len(parts) >= _MOST_STRETCHES:
            break
    return " ".join(parts)


def _is_readable(text: str) -> bool:
    return sum(character.isalpha() or character.isspace() for character in text) > 0.7 * len(text)


def _from_base64(stretch: str) -> str:
    bare = stretch.rstrip("=").replace("-", "+").replace("_", "/")
    bare = bare[: len(bare) - (len(bare) % 4 == 1)]
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4)).decode("utf-8", "ignore")
    except (binascii.Error, ValueError):
        return ""


def _from_hex(stretch: str) -> str:
    digits = stretch.replace(" ", "").replace(":", "")
    return bytes.fromhex(digits[: len(digits) // 2 * 2]).decode("utf-8", "ignore")


def _from_spaced(stretch: str) -> str:
    return " ".join(word.replace(" ", "") for word in cast("list[str]", _GAP.split(stretch)))


_CODES: tuple[tuple[str, str, Any, Callable[[str], str]], ...] = (
    ("in base64", "", _BASE64, _from_base64),
    ("in hex", "", _HEX, _from_hex),
    ("percent-encoded", "%", _PERCENT, urllib.parse.unquote_plus),
    ("in HTML entities", "&#", _ENTITY, html.unescape),
    ("spaced out", " ", _SPACED, _from_spaced),
)
"""How a stretch of text may be encoded: what to call it, what it cannot do without, how to find and decode it."""

_REWRITTEN: tuple[tuple[str, Any, Callable[[str], str]], ...] = (
    ("in ROT13", _ROTATED, lambda text: codecs.encode(text, "rot13")),
    ("backwards", _REVERSED, lambda text: text[::-1]),
    ("in leet", _LEET, lambda text: text.translate(_FROM_LEET)),
    ("between dots", _DOTTED, lambda text: _DOT.sub("", text)),
    ("behind escapes", _BACKSLASH, lambda text: _ESCAPE.sub(" ", text)),
)
"""How a whole text may be disguised: what to call it, what gives it away, how to undo it."""
