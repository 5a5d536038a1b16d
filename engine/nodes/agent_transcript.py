"""What an agent, its model and its tools have said: messages in which every call of a tool has its answer."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    ToolMessage,
    convert_to_messages,
    convert_to_openai_messages,
)

from engine.definition.text_origin import Source
from engine.errors import NodeFailed
from engine.nodes.agent_sources import answers_in
from engine.nodes.model_node import turned_down
from engine.usage import Usage


@dataclass(slots=True)
class Transcript:
    """The messages of one visit, whichever way it is asked again.

    Attributes:
        messages: all that a model reads.
        role: the model role that is asked.
        usage: what all requests used, as far as the provider said.
        opening: how many of them stood there before the visit: the system's, and the conversation so far.
        rounds: requests made that could ask for tools.
        reasons: how many reasons for turning an answer down have been told.
        made: calls by tool.
        left_out: what of the conversation and of passages the model does not hear, JSON.
        sources: what was known before the visit, and whose words it is.
    """

    messages: list[BaseMessage]
    opening: int
    role: str
    usage: Usage = field(default_factory=Usage)
    rounds: int = 0
    reasons: int = 0
    made: Counter[str] = field(default_factory=Counter[str])
    left_out: dict[str, Any] = field(default_factory=dict[str, Any])
    sources: Sequence[Source] = ()

    @classmethod
    def of(cls, asked: Sequence[BaseMessage], so_far: Sequence[BaseMessage], role: str) -> "Transcript":
        """Begin with a prompt's messages, for a role; a conversation so far stands before the last of them, the task.

        A task without a word is left out where there is a conversation.
        """
        *system, task = asked
        opening = [*system, *so_far]
        return cls(opening if so_far and not task.text.strip() else [*opening, task], len(opening), role)

    @property
    def known(self) -> list[Source]:
        """What a call may take its arguments from: what was known before, and what tools have answered."""
        return [*self.sources, *answers_in(self.messages)]

    def hear(self, feedback: Sequence[str]) -> None:
        """Tell the model why its answers were turned down, each reason once."""
        self.messages += map(turned_down, feedback[self.reasons :])
        self.reasons = len(feedback)

    def tell(self, text: str) -> None:
        """Say something to the model."""
        self.messages.append(HumanMessage(text))

    def answered(self, text: str) -> None:
        """Note an answer of the model; providers take no message without a word."""
        if text.strip():
            self.messages.append(AIMessage(text))

    def to_json(self) -> list[dict[str, Any]]:
        """Give the messages of the visit as `{role, content}` in the form that OpenAI made common."""
        return convert_to_openai_messages(self.messages[self.opening :])


def messages_in(field_name: str, value: Any) -> list[BaseMessage]:
    """Read a conversation: a list of `{role, content}`, tool calls and their answers included.

    Raises:
        NodeFailed: it is something else.
    """
    try:
        return convert_to_messages(value or ())
    except (ValueError, TypeError, KeyError, NotImplementedError) as error:
        raise NodeFailed(f"{field_name!r} holds what is not a conversation of {{role, content}}: {error}") from error


def readable(message: AIMessage) -> tuple[AIMessage, Mapping[str, str]]:
    """Give a message whose calls all have an id of their own, and what is wrong with those that cannot be read, by id.

    A call that cannot be read stands there without arguments, since providers refuse broken ones in a conversation.
    """
    faults: dict[str, str] = {}
    calls: list[dict[str, Any]] = []
    for call in [*message.tool_calls, *message.invalid_tool_calls]:
        taken = {one["id"] for one in calls}
        call_id = call["id"]
        if not call_id or call_id in taken:
            call_id = next(name for number in count(1) if (name := f"call-{number}") not in taken)
        is_broken = call.get("type") == "invalid_tool_call"
        if is_broken:
            faults[call_id] = f"its arguments are not a JSON object: {call['args']!r}"
        arguments = {} if is_broken else call["args"]
        calls.append({"name": call["name"] or "unknown", "args": arguments, "id": call_id, "type": "tool_call"})
    return message.model_copy(update={"tool_calls": calls, "invalid_tool_calls": []}), faults


def answer_to(call: Mapping[str, Any], text: str, *, failed: bool = False) -> ToolMessage:
    """Give the message that answers a call."""
    status = "error" if failed else "success"
    return ToolMessage(text, tool_call_id=str(call["id"]), name=str(call["name"]), status=status)
