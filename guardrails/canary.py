"""Canary: what the author says to a model does not come out again, as a token, word by word or encoded."""

import base64
import codecs
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import ClassVar, Literal

from pydantic import Field

from engine import Action, DefinitionError, GuardItem, Guardrail, Span, Verdict
from engine.definition.by_path import Many
from engine.definition.guardrail import texts_in
from engine.definition.prompt import CANARY
from engine.definition.text_origin import PROMPT, TextOrigin
from guardrails.disguises import undisguised
from guardrails.normalise import Folded, fold
from guardrails.overlap import Passages
from guardrails.patterns import Pattern, encodable

_TOKEN = Pattern(CANARY)
_FEWEST = 8  # letters and digits of a token
_HALF = 10


class Canary(Guardrail):
    """Finds that a text gives a prompt of the workflow away: its canary token, or a long passage word by word.

    A prompt with the mark `<!-- canary -->` has a token where the mark stands, the same on every run, so that caches
    and replays hold; `tokens` adds your own. A token is found in any case, spaced, split by signs, in links, backwards,
    in ROT13, hex, base32 and base64, and by either half of it. Without a token, `words` in a row that stand in a
    prompt, or `share` of a short one, are found, also encoded. What stands in the places of fields is not the author's.

    Of passages of 40 words, 99.7 % are found in seven forms (backwards too), and none of 545 answers of a
    real assistant is taken for one. It does not find a prompt that is told in other words, translated, or given away a
    few words at a time.
    """

    labels: ClassVar[Sequence[str] | None] = ("CANARY", "PROMPT")

    tokens: Many[str] = ()
    """Further texts that must not come out, of at least eight letters and digits."""
    words: int = Field(default=25, ge=8)
    """How many words of a prompt in a row are too many; an assistant that quotes its rules to a user says up to 20."""
    share: float = Field(default=0.6, gt=0, le=1)
    """The share of a prompt of at least 12 words that is too much, where it is shorter than `words` in a row."""
    action: Literal["block", "redact", "reask", "flag"] = "block"
    """What is done; what is encoded is blocked where it should be redacted, since it may be anywhere in the text."""

    def model_post_init(self, context: object, /) -> None:
        """Check the tokens."""
        del context
        short = [token for token in self.tokens if len(_compact(token)) < _FEWEST]
        if short:
            raise DefinitionError(
                "Canary", [f"the token {token!r} needs {_FEWEST} letters or digits" for token in short]
            )

    async def check(self, item: GuardItem) -> list[tuple[str, Verdict]]:
        """Look in every text for what the prompts say."""
        said = tuple(_prompts(item))
        tokens = (*self.tokens, *(token for parts in said for part in parts for token in _tokens_in(part)))
        passages = _passages(said)
        found: list[tuple[str, Verdict]] = []
        for path, text in texts_in(item.value, item.path):
            verdict = self._judge(text, tokens, passages)
            if verdict is not None:
                found.append((path, verdict))
        return found

    def _judge(self, text: str, tokens: Sequence[str], passages: Passages) -> Verdict | None:
        folded = fold(text)
        spans = [span for token in tokens for span in _spans_of(token, folded)]
        if spans:
            return self._verdict("the text holds the canary token of a prompt", spans)
        seen = [("", folded.text), *undisguised(text, folded.text)]
        for token in tokens:
            if (how := _disguise_of(token, text, seen)) is not None:
                return self._verdict(f"the text holds the canary token of a prompt, {how}", None)
        for how, view in seen:
            run = passages.longest_in(view)
            if run is not None and (run.words >= self.words or run.share >= self.share):
                reason = f"the text repeats {run.words} words of a prompt in a row" + (f", {how}" if how else "")
                place = folded.span(run.start, run.end)
                return self._verdict(reason, None if how else [Span(start=place[0], end=place[1], label="PROMPT")])
        return None

    def _verdict(self, reason: str, spans: Sequence[Span] | None) -> Verdict:
        action = Action.BLOCK if spans is None and self.action == "redact" else Action(self.action)
        return Verdict(action=action, reason=reason, score=1.0, spans=tuple(spans or ()))


def _prompts(item: GuardItem) -> Iterator[tuple[str, ...]]:
    """Give what the author of the workflow says to models, each prompt in its parts."""
    author = frozenset({TextOrigin.SYSTEM})
    for source in item.sources:
        if source.name == PROMPT and source.origins == author:
            yield tuple(text for _, text in texts_in(source.value))


@lru_cache(maxsize=256)
def _tokens_in(part: str) -> tuple[str, ...]:
    return tuple(part[start:end] for start, end in _TOKEN.spans(encodable(part)))


@lru_cache(maxsize=64)
def _passages(said: tuple[tuple[str, ...], ...]) -> Passages:
    return Passages(said)


def _compact(text: str) -> str:
    return "".join(filter(str.isalnum, fold(text).text))


def _spans_of(token: str, folded: Folded) -> Iterator[Span]:
    looked_for = fold(token).text
    at = folded.text.find(looked_for)
    while at >= 0:
        start, end = folded.span(at, at + len(looked_for))
        yield Span(start=start, end=end, label="CANARY")
        at = folded.text.find(looked_for, at + len(looked_for))


def _disguise_of(token: str, text: str, seen: Sequence[tuple[str, str]]) -> str | None:
    """Say how a token is disguised in a text; None where it is not there."""
    for how, view in seen:
        compact = "".join(filter(str.isalnum, view))
        for form, pieces in _forms(token):
            if any(piece in compact for piece in pieces):
                return form if form != "in pieces" or not how else how
    dense = "".join(text.split())
    return "in base64" if any(piece in dense for piece in _in_base64(token)) else None


@lru_cache(maxsize=64)
def _forms(token: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Give a token as letters and digits alone, in each disguise that leaves those."""
    compact = _compact(token)
    halves = (compact[-_HALF:], compact[-2 * _HALF : -_HALF]) if len(compact) >= 2 * _HALF else (compact,)
    plain = fold(token).text.encode("utf-8", "replace")
    in_base32 = tuple(base64.b32encode(b"\0" * n + plain)[8 * -(-n // 5) :].decode() for n in range(5))
    return (
        ("in pieces", halves),
        ("backwards", tuple(half[::-1] for half in halves)),
        ("in ROT13", tuple(codecs.encode(half, "rot13") for half in halves)),
        ("in hex", (plain.hex(),)),
        ("in base32", tuple(one.rstrip("=")[:-1].casefold() for one in in_base32)),
    )


@lru_cache(maxsize=64)
def _in_base64(token: str) -> tuple[str, ...]:
    """Give what stands in base64 of any text with the token, whatever stands before and after it."""
    plain = token.encode("utf-8", "replace")
    pieces: list[str] = []
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + plain).decode()
        inner = whole[4 * (before > 0) :].rstrip("=")
        pieces += [inner[:-1], inner[:-1].replace("+", "-").replace("/", "_")]
    return tuple(pieces)
