"""How many tokens a text has: a bound that holds for any byte-pair tokenizer in practice, and a likely count.

Counting is a regular expression over UTF-8 bytes whose every match stands for one token, so it runs at tens of MB/s
and needs no vocabulary. The two patterns look one byte ahead at the most and are linear.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, cast

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

_AT_MOST = re.compile(
    rb"[a-z]{1,2}|[A-Z][a-z]?|[0-9]"  # pairs of letters; capitals begin a token, as they do in base64
    rb"| {2,4}| (?![A-Za-z\x80-\xff])|[\t\n\r\f\v]"  # a space before a word is part of it, elsewhere it is not
    rb"|[!-/:-@\[-`{-~\x00-\x08\x0e-\x1f\x7f]"
    rb"|[\xc2-\xd4\xd8-\xdb][\x80-\xbf]"  # Latin, Greek, Cyrillic, Arabic: one for a letter
    rb"|[\xe3-\xed][\x80-\xbf]|\xe0[\xa4\xa5\xb8\xb9]"  # CJK, Hindi, Thai: two, the last byte being the second
    rb"|[\x80-\xff]"  # the rest by bytes, which no byte-pair tokenizer can exceed
)
_UNBROKEN = re.compile(rb"[A-Za-z0-9]{20,}")
_CONSONANTS = re.compile(rb"[bcdfghjklmnpqrstvwxz]{3}")
_LIKELY = re.compile(
    rb"[A-Za-z](?:[a-z]|\xc3[\x80-\xbf]){0,8}|[0-9]{1,3}| (?=[0-9])| {2,16}|[\n\r\t]+"
    rb"|[!-/:-@\[-`{-~]{1,3}|(?:[\xc2-\xdf][\x80-\xbf]){1,3}|(?:\xe0[\x80-\xbf]{2}){1,2}"
    rb"|[\xe1-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]|[\x80-\xff]|[\x00-\x08\x0b-\x1f\x7f]"
)
_PER_MESSAGE = 10  # role, separators, and what begins the answer
_LIKELY_PER_MESSAGE = 4
_TOOL_PREAMBLE = 600  # what providers put before a list of tools without saying so
_IMAGE = 5_000  # no vendor counts more for one picture of the size it accepts


def count_bound(text: str) -> int:
    """Bound the tokens of a text from above, for byte-pair tokenizers of today's models.

    English is bounded by about twice its tokens; scripts with few merges by their characters or bytes.
    """
    data = text.encode("utf-8", "surrogatepass")
    unbroken = sum(len(run) // 2 for run in _UNBROKEN.findall(data))  # long runs may be random: a token a letter
    strange = len(_CONSONANTS.findall(data))  # what nobody can pronounce has few merges, as in ROT13
    return len(_AT_MOST.findall(data)) + unbroken + strange


def estimate(text: str) -> int:
    """Give the likely number of tokens of a text, within about a tenth for prose and code; never above the bound."""
    return len(_LIKELY.findall(text.encode("utf-8", "surrogatepass")))


def bound_messages(messages: Sequence[BaseMessage], tools: Sequence[Any] | None = None) -> int:
    """Bound the input tokens of a request.

    Args:
        messages: what is sent; pictures count as 5,000 tokens, other attachments by their bytes.
        tools: what goes along as tools or output schemas: JSON Schema dicts, LangChain tools, pydantic models.
    """
    total = _PER_MESSAGE + sum(_PER_MESSAGE + _count(message, count_bound) for message in messages)
    if tools:
        total += _TOOL_PREAMBLE + sum(count_bound(_as_json(_schema(tool))) + _PER_MESSAGE for tool in tools)
    return total


def estimate_message(message: BaseMessage) -> int:
    """Give the likely number of tokens of a message, with what stands around it; never above its part of the bound."""
    return _LIKELY_PER_MESSAGE + _count(message, estimate)


def estimate_messages(messages: Sequence[BaseMessage], tools: Sequence[Any] | None = None) -> int:
    """Give the likely number of input tokens of a request; what providers put before tools unasked is not in it."""
    total = sum(map(estimate_message, messages))
    return total + sum(estimate(_as_json(_schema(tool))) + _LIKELY_PER_MESSAGE for tool in tools or ())


def _count(message: BaseMessage, count: Callable[[str], int]) -> int:
    total = count(message.name or "") + sum(_count_block(block, count) for block in _blocks(message))
    if isinstance(message, AIMessage) and message.tool_calls:
        total += sum(count(_as_json(call)) for call in message.tool_calls)
    if isinstance(message, ToolMessage):
        total += count(message.tool_call_id)
    return total


def _blocks(message: BaseMessage) -> list[str | dict[str, Any]]:
    content = cast("str | list[str | dict[str, Any]]", message.content)
    return [content] if isinstance(content, str) else content


def _count_block(block: str | dict[str, Any], count: Callable[[str], int]) -> int:
    if isinstance(block, str):
        return count(block)
    if block.get("type") in {"image", "image_url"}:
        return _IMAGE
    if block.get("type") == "text":
        return count(str(block.get("text", "")))
    return count(_as_json(block))


def _schema(tool: Any) -> Any:
    return cast("dict[str, Any]", tool) if isinstance(tool, dict) else convert_to_openai_tool(tool)


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
