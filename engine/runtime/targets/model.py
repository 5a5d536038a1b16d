"""A model as a target: one LangChain chat model that may play a role."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    ToolMessage,
    message_chunk_to_message,
    message_to_dict,
    messages_from_dict,
)
from pydantic import BaseModel

from engine.definition.node import Reply
from engine.errors import BadRequest, ContentFiltered, ContextTooLong, MalformedOutput
from engine.models.charges import Charges
from engine.models.prices import terms_as_text
from engine.models.roles import BoundModel
from engine.models.tokens import bound_messages
from engine.records import CallRecord
from engine.runtime.answer import Answer
from engine.runtime.classify import as_call_error
from engine.runtime.hold_back import HeldText
from engine.runtime.run import Call
from engine.usage import Account, Amount, Usage

_FEWEST_TOKENS = 16  # an answer cut shorter than this helps nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """What a model call carries besides its JSON form."""

    messages: Sequence[BaseMessage]
    output: type[BaseModel] | None
    tools: Sequence[dict[str, Any]]
    stream: bool
    max_input_tokens: int | None


def said(message: BaseMessage) -> dict[str, Any]:
    """Give a message as the ledger keeps it."""
    plain: dict[str, Any] = {"role": message.type, "content": message.content}
    if isinstance(message, AIMessage) and message.tool_calls:
        plain["tool_calls"] = [
            {"id": one["id"], "name": one["name"], "args": one["args"]} for one in message.tool_calls
        ]
    if isinstance(message, ToolMessage):
        plain |= {"tool_call_id": message.tool_call_id, "status": message.status}
    return plain


@dataclass(frozen=True, slots=True)
class ModelTarget:
    """One model that may play a role, with its price."""

    model: BoundModel
    charges: Charges

    @property
    def name(self) -> str:
        """The model, for breakers and messages."""
        return f"{self.model.provider}:{self.model.name}"

    @property
    def identity(self) -> list[Any]:
        """The model and its parameters."""
        return [self.model.provider, self.model.name, dict(self.model.params), self.model.structured]

    def bound(self, call: Call, account: Account) -> Amount:
        """Bound the input, and clamp the output to what the account has left."""
        request: ModelRequest = call.payload
        schemas = [*request.tools, *([request.output.model_json_schema()] if request.output else ())]
        read = bound_messages(request.messages, tools=schemas or None)
        if request.max_input_tokens is not None and read > request.max_input_tokens:
            raise ContextTooLong(
                f"the request may have {read:,} tokens and the node allows {request.max_input_tokens:,} "
                "(max_input_tokens): shorten what its prompt is filled with"
            )
        now = call.run.clock.now()
        clamps = not call.leaves_another  # what must leave enough for another is refused rather than cut short
        written = self._affordable(read, call.asked_tokens, account, now) if clamps else call.asked_tokens
        call.max_tokens = written
        return Amount(tokens=read + written, nano_usd=self._dearest(read, written, now), calls=1)

    def _affordable(self, read: int, asked: int, account: Account, now: datetime) -> int:
        """Give the most output tokens, up to what was asked, that fit; what cannot fit is refused on reserving."""
        fewest = min(asked, _FEWEST_TOKENS)
        left = account.left("tokens")
        most = asked if left is None else max(min(asked, left - read), fewest)
        dollars = account.left("nano_usd")
        if dollars is None or self._dearest(read, most, now) <= dollars:
            return most
        low, high = fewest, most
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._dearest(read, middle, now) <= dollars else (low, middle - 1)
        return low

    def _dearest(self, read: int, written: int, now: datetime) -> int:
        return self.charges.dearest(self.model, read, written, now) or 0

    def describe(self, call: Call, record: CallRecord) -> None:
        """Say which model, with which limits and which prompt."""
        record.provider_name, record.request_model = self.model.provider, self.model.name
        record.request_max_tokens = call.max_tokens
        record.price_terms = terms_as_text(self.model.terms) or None
        record.prompt_name, record.prompt_version = call.details["prompt_name"], call.details["prompt_version"]

    def cost(self, call: Call, usage: Usage) -> tuple[int | None, str, str | None]:
        """Price a usage."""
        return self.charges.cost(self.model, usage, call.run.clock.now())

    def priced(self, usage: Usage, at: datetime) -> int | None:
        """Say what a usage would cost from this model (nano-USD); None if that is not known."""
        return self.charges.cost(self.model, usage, at)[0]

    async def send(self, call: Call) -> Answer:
        """Ask the model once."""
        request: ModelRequest = call.payload
        chat, messages, options = _prepared(self.model, request)
        options[self.model.max_tokens_name] = call.max_tokens
        try:
            if request.stream and call.run.listener is not None:
                message = await self._streamed(call, chat, messages, options)
            else:
                message = await chat.ainvoke(messages, **options)
        except call.run.control_flow:
            raise
        except Exception as error:
            raise as_call_error(error, self.name) from error
        return _answer(message, request, self.model)

    def restore(self, call: Call, response: Any) -> Answer:
        """Give the answer again."""
        said = dict(response)
        message = messages_from_dict([{"type": said.pop("type"), "data": said}])[0]
        return _answer(cast("AIMessage", message), call.payload, self.model)

    async def _streamed(
        self, call: Call, chat: Any, messages: Sequence[BaseMessage], options: Mapping[str, Any]
    ) -> AIMessage:
        whole: AIMessageChunk | None = None
        held = HeldText.of(call.step, cast("CallRecord", call.record).call_id)
        began, row = call.run.clock.monotonic_ns(), cast("CallRecord", call.record)  # the meter has begun it
        try:
            async for chunk in chat.astream(messages, **options):
                if whole is None:
                    row.time_to_first_chunk_ns = call.run.clock.monotonic_ns() - began
                whole = chunk if whole is None else whole + chunk
                if chunk.text:
                    await held.add(chunk.text)
            if whole is None:
                raise MalformedOutput(f"{self.name} sent an empty stream")
            _require_end(whole, self.model)
            await held.end()
            return cast("AIMessage", message_chunk_to_message(whole))
        except BaseException:
            if whole is not None:
                call.step.unsay(row.call_id)
            raise


def _prepared(model: BoundModel, request: ModelRequest) -> tuple[Any, Sequence[BaseMessage], dict[str, Any]]:
    """Ask for an object in the way that this model understands."""
    chat: BaseChatModel = model.chat
    if request.tools:
        if type(chat).bind_tools is BaseChatModel.bind_tools:
            raise BadRequest(f"{model.provider}:{model.name} cannot call tools: give its role a model that can")
        return chat.bind_tools(request.tools), request.messages, {}
    if request.output is None:
        return chat, request.messages, {}
    schema = request.output.model_json_schema()
    if model.structured == "response_schema":
        return chat, request.messages, {"response_schema": schema}
    if model.structured == "tool":
        return chat.bind_tools([request.output], tool_choice=request.output.__name__), request.messages, {}
    asked = "Answer with one JSON object and nothing else. It fits this JSON Schema:\n"
    return chat, [*request.messages, HumanMessage(asked + json.dumps(schema))], {}


def _answer(message: AIMessage, request: ModelRequest, model: BoundModel) -> Answer:
    finish = finish_reason(message)
    _require_end(message, model)
    if finish == "content_filter":
        raise ContentFiltered(f"{model.provider}:{model.name} refused to answer this content")
    headers: Mapping[str, Any] = message.response_metadata.pop("headers", None) or {}  # the ledger keeps none of them
    usage = usage_of(message)
    reply = Reply(
        text=message.text,
        message=message,
        data=_data(message) if request.output is not None else None,
        finish_reason=finish,
        usage=usage,
    )
    return Answer(
        value=reply,
        response=message_to_dict(message)["data"] | {"type": message.type},
        usage=usage,
        response_model=message.response_metadata.get("model_name") or message.response_metadata.get("model"),
        response_id=message.id,
        finish_reason=finish,
        requests_left=_left(headers, "requests"),
        tokens_left=_left(headers, "tokens"),
    )


def _left(headers: Mapping[str, Any], kind: str) -> int | None:
    """Read how much of a limit is left, from the headers of OpenAI or Anthropic; None if they do not say."""
    said = headers.get(f"x-ratelimit-remaining-{kind}") or headers.get(f"anthropic-ratelimit-{kind}-remaining")
    return int(said) if said is not None and str(said).isascii() and str(said).isdecimal() else None


def _require_end(message: AIMessage, model: BoundModel) -> None:
    """A stream that is cut politely raises nothing; only the missing reason tells that it was not finished."""
    if model.says_why_it_ended and finish_reason(message) is None:
        raise MalformedOutput(f"{model.provider}:{model.name} broke off its answer without an end")


def finish_reason(message: AIMessage) -> str | None:
    """Say why an answer ended, in lower case; None if the model does not."""
    metadata = message.response_metadata
    found = metadata.get("finish_reason") or metadata.get("stop_reason") or metadata.get("done_reason")
    return None if found is None else str(found).lower()


def usage_of(message: AIMessage) -> Usage | None:
    """Give the tokens of an answer as the provider counted them; None if it did not."""
    said = message.usage_metadata
    if said is None:
        return None
    read, wrote = said.get("input_token_details") or {}, said.get("output_token_details") or {}
    return Usage(
        input_tokens=said["input_tokens"],
        cache_read_tokens=read.get("cache_read") or 0,
        cache_write_tokens=read.get("cache_creation") or 0,
        output_tokens=said["output_tokens"],
        reasoning_tokens=wrote.get("reasoning") or 0,
    )


def _data(message: AIMessage) -> Any:
    """Give the object in an answer: a tool call's arguments, or JSON in the text, fenced or not."""
    if message.tool_calls:
        return message.tool_calls[0]["args"]
    text = message.text.strip()
    start, end = text.find("{"), text.rfind("}")
    try:
        return json.loads(text[start : end + 1]) if start >= 0 else None
    except ValueError:
        return None
