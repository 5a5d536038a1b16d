"""Whose words an agent hears besides those in the state: its prompt, the conversation, and what its tools answered."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage

from engine.definition.text_origin import Origins, Source, TextOrigin

_SYSTEM: Origins = frozenset({TextOrigin.SYSTEM})
_USER: Origins = frozenset({TextOrigin.USER})
_TOOL: Origins = frozenset({TextOrigin.TOOL})
_MODEL: Origins = frozenset({TextOrigin.MODEL})
_BY_ROLE: Mapping[str, Origins] = {"user": _USER, "human": _USER, "system": _SYSTEM, "tool": _TOOL}


def sources_before(known: Sequence[Source], messages: str | None) -> list[Source]:
    """Give what is known before an agent begins; a conversation that the user gave is theirs only where they speak.

    Args:
        known: the prompts, and what the state holds.
        messages: the field with the conversation so far.
    """
    sources: list[Source] = []
    for source in known:
        if source.name == messages and source.is_trusted and isinstance(source.value, list):
            sources += [_said(source, message) for message in cast("list[Any]", source.value)]
        else:
            sources.append(source)
    return sources


def _said(conversation: Source, message: Any) -> Source:
    fields: Mapping[str, Any] = cast("Mapping[str, Any]", message) if isinstance(message, Mapping) else {}
    origins = _BY_ROLE.get(str(fields.get("role", "")), _MODEL)
    return Source(name=conversation.name, origins=origins, value=fields.get("content", message))


def sources_heard(history: Sequence[BaseMessage], *, is_verbatim: bool) -> list[Source]:
    """Give what the conversation that the run belongs to said; a summary of it is a model's."""
    return [
        Source(
            name="history",
            origins=_USER if is_verbatim and isinstance(message, HumanMessage) else _MODEL,
            value=message.content,
        )
        for message in history
    ]


def answers_in(messages: Sequence[BaseMessage]) -> list[Source]:
    """Give what tools answered."""
    return [
        Source(name=message.name or "tool", origins=_TOOL, value=message.content)
        for message in messages
        if isinstance(message, ToolMessage)
    ]
