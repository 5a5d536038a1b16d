"""Prompts: named texts with placeholders, versioned by their content."""

import base64
import hashlib
import json
import sys
from collections.abc import Container, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import re2
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from engine.definition.by_path import Frozen
from engine.errors import DefinitionError

_PLACEHOLDER = re2.compile(r"\{\{|\}\}|\{([a-z_][a-z0-9_]*)\}")
_SYSTEM, _USER, _CANARY = "<!-- system -->", "<!-- user -->", "<!-- canary -->"
CANARY = r"ref-[a-z2-7]{20}"
"""The pattern of a canary token."""
_PLACE = re2.compile(r"\{\{|\}\}|\{[a-z_][a-z0-9_]*\}")


class Prompt(Frozen):
    """A text for a model with `{field}` placeholders; `{{` and `}}` stand for braces.

    Values are put in once and never read as templates, so what a user or a document says cannot reach other fields.
    Where `<!-- canary -->` stands, the model reads a token that stands nowhere else, so that a text that gives the
    prompt away can be told by it.
    """

    text: str
    """What is said as the user."""
    system: str = ""
    """What is said before, as the system."""
    name: str = "inline"
    """How reports call the prompt; the file's stem where it came from a file."""

    @classmethod
    def file(cls, path: str | Path) -> "Prompt":
        """Read a prompt from a file beside the module that calls this.

        The lines `<!-- system -->` and `<!-- user -->` begin the two parts; without them all is the user's.

        Raises:
            DefinitionError: the file is missing, is not UTF-8 text or is empty.
        """
        caller: dict[str, Any] = sys._getframe(1).f_globals  # pyright: ignore[reportPrivateUsage]
        found = Path(caller.get("__file__", ".")).parent / path
        try:
            whole = found.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DefinitionError(f"prompt {found}", [f"it cannot be read: {error}"]) from error
        prompt = cls.parse(whole)
        if not prompt.text:
            raise DefinitionError(f"prompt {found}", ["it is empty"])
        return prompt.model_copy(update={"name": found.stem})

    @classmethod
    def parse(cls, whole: str) -> "Prompt":
        """Read the two parts of a text, as they stand in a file."""
        head, mark, user = whole.partition(_USER)
        system = head.replace(_SYSTEM, "").strip() if mark else ""
        return cls(text=(user if mark else whole).strip(), system=system)

    @cached_property
    def version(self) -> str:
        """The first 12 hex digits of the sha256 of the texts."""
        return hashlib.sha256(f"{self.system}\0{self.text}".encode()).hexdigest()[:12]

    @cached_property
    def placeholders(self) -> tuple[str, ...]:
        """The fields that the texts name, each once, in order."""
        found = cast("list[str]", [*_PLACEHOLDER.findall(self.system), *_PLACEHOLDER.findall(self.text)])
        return tuple(dict.fromkeys(name for name in found if name))

    @cached_property
    def canary(self) -> str:
        """The token that the mark `<!-- canary -->` stands for, the same as long as the texts are."""
        digest = hashlib.sha256(f"canary\0{self.system}\0{self.text}".encode()).digest()
        return f"ref-{base64.b32encode(digest).decode().lower()[:20]}"

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """What the author says in it, the system's part first, up to each place where a field is put."""
        whole = (text.replace(_CANARY, self.canary) for text in (self.system, self.text))
        parts = (part for text in whole for part in cast("list[str]", _PLACE.split(text)))
        return tuple(part for part in parts if part.strip())

    def messages(self, values: Mapping[str, Any]) -> list[BaseMessage]:
        """Put the values of the fields in their places and give the messages for a model."""
        shown = {name: render(values[name]) for name in self.placeholders}
        messages: list[BaseMessage] = []
        if self.system:
            messages.append(SystemMessage(_fill(self.system.replace(_CANARY, self.canary), shown)))
        messages.append(HumanMessage(_fill(self.text.replace(_CANARY, self.canary), shown)))
        return messages


def _fill(template: str, shown: Mapping[str, str]) -> str:
    def put(match: Any) -> str:
        name = match.group(1)
        return shown[name] if name else match.group(0)[0]

    return _PLACEHOLDER.sub(put, template)


def render(value: Any) -> str:
    """Show a JSON value to a model: text as it is, passages as numbered blocks, anything else as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value:
        items = cast("list[Any]", value)
        if all(isinstance(item, Mapping) and "text" in item for item in items):
            return numbered(items, range(len(items)))
        if all(isinstance(item, str) for item in items):
            return "\n".join(f"- {item}" for item in items)
    return json.dumps(value, ensure_ascii=False)


def numbered(passages: Sequence[Mapping[str, Any]], shown: Container[int]) -> str:
    """Show some of a list of passages, each under its place in the whole list from 1 on, and say where some are not."""
    blocks: list[str] = []
    for is_shown, some in groupby(range(len(passages)), lambda place: place in shown):
        places = list(some)
        if is_shown:
            blocks += [_numbered(place + 1, passages[place]) for place in places]
        else:
            first, last = places[0] + 1, places[-1] + 1
            blocks.append(f"[{first}] left out" if first == last else f"[{first}-{last}] left out")
    return "\n\n".join(blocks)


def _numbered(number: int, passage: Mapping[str, Any]) -> str:
    title, source = str(passage.get("title") or ""), str(passage.get("source") or "")
    head = " ".join(part for part in (f"[{number}]", title, f"({source})" if source else "") if part)
    return f"{head}\n{passage['text']}"
