"""Trimming by age: what does not fit a limit is left out, oldest first, and what belongs together stays together."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from engine.definition.context_policy import ToolResults
from engine.models.tokens import estimate, estimate_message

Item = TypeVar("Item")


def newest(
    items: Sequence[Item], tokens_of: Callable[[Item], int], *, max_tokens: int | None, most: int | None = None
) -> list[Item]:
    """Give the newest items that fit, in their order; nothing older than one that does not fit is given."""
    kept: list[Item] = []
    left = max_tokens
    for item in reversed(items):
        if left is not None:
            left -= tokens_of(item)
        if (left is not None and left < 0) or (most is not None and len(kept) >= most):
            break
        kept.append(item)
    return kept[::-1]


def rounds(messages: Sequence[BaseMessage]) -> list[list[BaseMessage]]:
    """Part messages into what belongs together: one that calls tools with all that they answered, any other by itself.

    Calls that are not all answered, and answers that nothing called for, are in no round: models refuse both.
    """
    parted: list[list[BaseMessage]] = []
    number = 0
    while number < len(messages):
        message = messages[number]
        number += 1
        if isinstance(message, ToolMessage):
            continue
        whole: list[BaseMessage] = [message]
        open_calls = _calls_of(message)
        while number < len(messages) and _answered_by(messages[number]) in open_calls:
            open_calls.remove(_answered_by(messages[number]))
            whole.append(messages[number])
            number += 1
        if not open_calls:
            parted.append(whole)
    return parted


def newest_messages(messages: Sequence[BaseMessage], max_tokens: int) -> list[BaseMessage]:
    """Give the newest messages that fit, never a call of a tool without its answers or the other way round."""
    kept = newest(rounds(messages), lambda whole: sum(map(estimate_message, whole)), max_tokens=max_tokens)
    return [message for whole in kept for message in whole]


def fit_tool_results(messages: Sequence[BaseMessage], policy: ToolResults) -> tuple[list[BaseMessage], dict[str, int]]:
    """Bring what tools answered within its limits, and say how many results were left out or cut.

    The newest round of calls stays, cut where it must be: the model has yet to see it.
    """
    parted = [[_cut(message, policy.each_tokens) for message in whole] for whole in rounds(messages)]
    calling = [whole for whole in parted if len(whole) > 1]
    shown = len(newest(calling, _results_in, max_tokens=policy.max_tokens))
    if calling and not shown:
        share = (policy.max_tokens or 0) // (len(calling[-1]) - 1)
        calling[-1][:] = [_cut(message, share) for message in calling[-1]]
        shown = 1
    gone = calling[: len(calling) - shown]
    kept = [message for whole in parted if not any(whole is one for one in gone) for message in whole]
    before = {id(message) for message in messages}
    said = {
        "tool_results": sum(len(whole) - 1 for whole in gone),
        "tool_results_cut": sum(id(message) not in before for message in kept),
    }
    return kept, {name: count for name, count in said.items() if count}


def _results_in(messages: Sequence[BaseMessage]) -> int:
    return sum(estimate(message.text) for message in messages if isinstance(message, ToolMessage))


def _calls_of(message: BaseMessage) -> list[str | None]:
    return [call["id"] for call in message.tool_calls] if isinstance(message, AIMessage) else []


def _answered_by(message: BaseMessage) -> str | None:
    return message.tool_call_id if isinstance(message, ToolMessage) else None


def _cut(message: BaseMessage, tokens: int | None) -> BaseMessage:
    """Cut the end off a tool's answer, and say so in its place."""
    if tokens is None or not isinstance(message, ToolMessage) or estimate(message.text) <= tokens:
        return message
    text = message.text
    mark = f" [cut: {estimate(text):,} tokens in all]"
    if estimate(mark) > tokens:
        mark = "…" if tokens else ""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if estimate(text[:middle] + mark) <= tokens else (low, middle - 1)
    return message.model_copy(update={"content": text[:low] + mark})
