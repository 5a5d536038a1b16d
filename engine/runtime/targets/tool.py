"""A tool as a target: a typed function or LangChain tool, called once an attempt."""

import asyncio
import inspect
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.tools import BaseTool
from pydantic_core import PydanticSerializationError, to_jsonable_python

from engine.definition.tool import IDEMPOTENCY_KEY, ToolSignature
from engine.errors import AnswerLost, ToolFailed
from engine.payloads import canonical, digest
from engine.records import CallRecord
from engine.runtime.answer import Answer
from engine.runtime.classify import tool_error
from engine.runtime.run import Call
from engine.runtime.targets.unbilled import Unbilled


@dataclass(frozen=True, slots=True)
class ToolTarget(Unbilled):
    """A tool that a step calls; the payload of the call is its checked arguments."""

    tool: Any
    signature: ToolSignature

    @property
    def name(self) -> str:
        """The tool, for breakers and messages."""
        return f"the tool {self.signature.name!r}"

    def describe(self, call: Call, record: CallRecord) -> None:
        """Say which tool, what it does to the world, and under which key."""
        record.tool_name, record.tool_effect = self.signature.name, call.details["effect"]
        record.idempotency_key = call.details[IDEMPOTENCY_KEY]

    async def send(self, call: Call) -> Answer:
        """Call the tool; a function that is not async runs in a thread."""
        vault, restores = call.run.vault, call.details["restores"]
        arguments = dict(await vault.restored(call.payload) if restores else call.payload)
        if self.signature.takes_idempotency_key:
            arguments[IDEMPOTENCY_KEY] = call.details[IDEMPOTENCY_KEY]
        try:
            answer = await self._answer(arguments)
        except call.run.control_flow:
            raise
        except Exception as error:
            failed = tool_error(error, self.name)
            if not restores:
                raise failed from error
            failed.args = (vault.hidden(str(failed)),)
            raise failed from None
        if not restores:
            return answer_of(answer, self.name)
        return answer_of(vault.hidden(as_json(answer, self.name)), self.name)

    def restore(self, call: Call, response: Any) -> Answer:
        """Give the answer again."""
        del call
        plain = as_json(response, self.name)
        return Answer(value=plain, response=plain)

    async def _answer(self, arguments: dict[str, Any]) -> Any:
        if isinstance(self.tool, BaseTool):
            return await _ask_langchain(self.tool, arguments)
        if inspect.iscoroutinefunction(self.tool):
            return await self.tool(**arguments)
        answer = await asyncio.to_thread(self.tool, **arguments)
        return await answer if inspect.isawaitable(answer) else answer


async def _ask_langchain(tool: BaseTool, arguments: dict[str, Any]) -> Any:
    if tool.response_format != "content_and_artifact":
        return await tool.ainvoke(arguments)
    message = await tool.ainvoke({"type": "tool_call", "id": "call", "name": tool.name, "args": arguments})
    if message.status == "error":  # MCP tools report their errors as ordinary text
        raise ToolFailed(f"the tool {tool.name!r} answered with an error: {message.text}")
    content = _without_chance(message.content)
    return content if message.artifact is None else {"content": content, "artifact": message.artifact}


def _without_chance(content: Any) -> Any:
    """Leave out the random ids that LangChain gives to blocks: the same answer must have the same hash."""
    if not isinstance(content, list):
        return content
    return [
        {key: value for key, value in block.items() if not (key == "id" and str(value).startswith("lc_"))}
        if isinstance(block, dict)
        else block
        for block in cast("list[dict[str, Any] | str]", content)
    ]


def answer_of(value: Any, name: str) -> Answer:
    """Give what did its work and returned a value as an answer.

    Raises:
        AnswerLost: JSON cannot hold the value.
    """
    try:
        plain = as_json(value, name)
    except ToolFailed as error:
        raise AnswerLost(str(error)) from error
    return Answer(value=plain, response=plain)


def as_json(value: Any, name: str) -> Any:
    """Give what a tool returned as JSON.

    Raises:
        ToolFailed: JSON cannot hold it.
    """
    try:
        plain = to_jsonable_python(value)
        canonical(plain)
    except (PydanticSerializationError, TypeError, ValueError, RecursionError) as error:
        raise ToolFailed(f"{name} returned what JSON cannot hold ({type(value).__name__}): {error}") from error
    return plain


def idempotency_key(run_id: str, tool: str, arguments: Any) -> str:
    """Make the key of an action from the run and what is done, not from where it stands."""
    return digest([run_id, tool, arguments])[:32]
