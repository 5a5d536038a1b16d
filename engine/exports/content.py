"""What was said, as OpenTelemetry's GenAI conventions write it: messages of parts, tool calls, documents."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from engine.exports import names
from engine.records import CallRecord

_ROLES = {"human": "user", "ai": "assistant"}


def text_of(value: Any) -> str:
    """Write a value as an attribute holds it: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def content_of(call: CallRecord, request: Any, response: Any) -> dict[str, Any]:
    """Give the attributes that hold what a call was asked and what it answered; None is what is not known."""
    match call.operation_name:
        case "chat":
            said: Mapping[str, Any] = request or {}
            asked = [_message(one) for one in said.get("messages", ())]
            answered = None if response is None else [_message(response) | {"finish_reason": call.finish_reason or ""}]
            found = {names.INPUT_MESSAGES: asked or None, names.OUTPUT_MESSAGES: answered}
        case "retrieval":
            asked_for: Mapping[str, Any] = request or {}
            passages: Mapping[str, Any] = response or {}
            found = {
                names.RETRIEVAL_QUERY: asked_for.get("query"),
                names.RETRIEVAL_TOP_K: asked_for.get("top_k"),
                names.RETRIEVAL_DOCUMENTS: passages.get("passages"),
            }
        case _:
            found = {names.TOOL_ARGUMENTS: request, names.TOOL_RESULT: response}
    plain = {name: value for name, value in found.items() if value is not None}
    return {name: value if isinstance(value, int) else text_of(value) for name, value in plain.items()}


def _message(said: Mapping[str, Any]) -> dict[str, Any]:
    """Give a message as a role and parts."""
    role = str(said.get("role") or said.get("type", ""))
    content: Any = said.get("content")
    if role == "tool":
        part = {"type": "tool_call_response", "id": said.get("tool_call_id"), "response": content}
        return {"role": role, "parts": [part]}
    calls = cast("Sequence[Mapping[str, Any]]", said.get("tool_calls") or ())
    parts = [*_parts(content), *(_tool_call(one) for one in calls)]
    return {"role": _ROLES.get(role, role), "parts": parts}


def _parts(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "content": content}] if content else []
    blocks = cast("Sequence[Any]", content or ())
    return [part for block in blocks for part in _block(block)]


def _block(block: Any) -> list[dict[str, Any]]:
    """Give the part that a block of LangChain's stands for; the call of a tool stands among the calls."""
    if isinstance(block, str):
        return [{"type": "text", "content": block}]
    fields = cast("dict[str, Any]", block)
    if fields.get("type") == "text":
        return [{"type": "text", "content": fields.get("text", "")}]
    return [] if fields.get("type") in ("tool_call", "tool_use", "function_call") else [fields]


def _tool_call(call: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "tool_call", "id": call.get("id"), "name": call.get("name"), "arguments": call.get("args")}
