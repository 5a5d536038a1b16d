"""Find the question and the numbered passages in the messages of a request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import re2
from langchain_core.messages import BaseMessage, HumanMessage

_HEAD: Any = re2.compile(r"(?m)^\[(\d{1,3})(?:-(\d{1,3}))?\](?:[ \t]+(.*))?$")
_LEFT_OUT = "left out"  # what stands in the place of passages that the request does not show
_QUESTION: Any = re2.compile(r"(?mi)^[ \t>*]*question[ \t]*\**[ \t]*:[ \t]*\**[ \t]*(.+)$")
_ANSWER_HERE: Any = re2.compile(r"(?mi)^[ \t]*(?:answer|reply|response)[ \t]*:[ \t]*$")
_SOURCE: Any = re2.compile(r"\s*\([^()]*\)\s*$")


@dataclass(frozen=True, slots=True)
class Passage:
    """A numbered passage of a prompt."""

    number: int
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks, and what it may be answered from."""

    question: str
    passages: tuple[Passage, ...]


def read(messages: Sequence[BaseMessage]) -> Asked:
    """Take the question and the passages out of the messages.

    The question is the last line that starts with `Question:` in the last human message that has one, else the last
    paragraph of the last human message. Passages are blocks that start with `[n] Title (source)`, counted from 1;
    `[n] left out` and `[n-m] left out` stand for passages that are not shown.
    """
    said = [str(message.text) for message in messages if isinstance(message, HumanMessage)]
    question = _question(said)
    found: list[Passage] = []
    for message in messages:
        if isinstance(message, HumanMessage) or message.type == "system":
            found += _passages(_before_question(str(message.text)))
    return Asked(question, tuple({passage.number: passage for passage in found}.values()))


def _question(said: Sequence[str]) -> str:
    for text in reversed(said):
        asked: list[str] = _QUESTION.findall(text)
        if asked:
            return asked[-1].strip()
    paragraphs = [part.strip() for part in (said[-1] if said else "").split("\n\n") if part.strip()]
    return paragraphs[-1] if paragraphs else ""


def _before_question(text: str) -> str:
    """Cut off the question where it stands behind the passages; before them it does no harm."""
    asked = list(_QUESTION.finditer(text))
    heads = list(_HEAD.finditer(text))
    if asked and heads and asked[-1].start() > heads[0].start():
        text = text[: asked[-1].start()]
    return _ANSWER_HERE.sub("", text)


def _passages(text: str) -> list[Passage]:
    heads: list[Any] = []
    turn = 1
    for head in _HEAD.finditer(text):
        last = int(head.group(2) or head.group(1)) if head.group(3) == _LEFT_OUT else int(head.group(1))
        if int(head.group(1)) == turn <= last:  # a number out of turn is part of a text
            heads.append(head)
            turn = last + 1
    ends = [*(head.start() for head in heads[1:]), len(text)]
    blocks = [(head, text[head.end() : end].strip()) for head, end in zip(heads, ends, strict=False)]
    return [_passage(head, body) for head, body in blocks if body or head.group(3) != _LEFT_OUT]


def _passage(head: Any, text: str) -> Passage:
    title: str = head.group(3) or ""
    if not text:
        return Passage(int(head.group(1)), "", title)  # all in one line
    return Passage(int(head.group(1)), _SOURCE.sub("", title), text)
