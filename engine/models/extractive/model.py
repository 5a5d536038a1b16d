"""Extractive: a chat model that answers by quoting the passages of its prompt; deterministic, local and free."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import re2
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LangSmithParams
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from engine.models.extractive.filling import fill
from engine.models.extractive.passages import read
from engine.models.extractive.quoting import DO_NOT_KNOW, quotes
from engine.models.tokens import estimate

MODEL_NAME = "extractive-1"

_PER_MESSAGE = 4
_WORDS: Any = re2.compile(r"\S*\s*")


class Extractive(BaseChatModel):
    """An extractive answerer with the interface of a chat model; it is not a language model.

    It quotes the one or two sentences of the passages in its prompt that best match the words of the question, each
    with the number of its passage, and says that it does not know where none matches. It understands nothing, follows
    no instructions and cannot reason, compute, translate or call tools; what it says stands in a passage, word by word.

    Passages are blocks that begin with a line `[1] Title (source)`. The question is the last line that begins with
    `Question:`, else the last paragraph of the last human message.

    Called with `response_schema=` (a JSON Schema) it fills an object by matching words: options by their names and by
    lines like `- option: what it means`, texts by the best sentence. Called with `max_tokens=` it leaves sentences
    out. Equal messages give equal answers. Tokens are counted by estimate.
    """

    max_tokens: int | None = None
    """The most tokens of an answer, where a call does not say."""

    @property
    def _llm_type(self) -> str:
        return "flowledger-extractive"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": MODEL_NAME, "max_tokens": self.max_tokens}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = "flowledger"
        params["ls_model_name"] = str(kwargs.get("model", MODEL_NAME))  # traces name the model that was asked for
        return params

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        *,
        max_tokens: int | None = None,
        response_schema: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        text, finish_reason = self._answer(messages, stop, max_tokens, response_schema)
        message = AIMessage(
            content=text,
            response_metadata=_metadata(finish_reason),
            usage_metadata=_usage(messages, text),
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        *,
        max_tokens: int | None = None,
        response_schema: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        text, finish_reason = self._answer(messages, stop, max_tokens, response_schema)
        words: list[str] = [word for word in _WORDS.findall(text) if word] or [""]
        for word in words[:-1]:
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=word))
            if run_manager:
                run_manager.on_llm_new_token(word, chunk=chunk)
            yield chunk
        last = AIMessageChunk(
            content=words[-1],
            response_metadata=_metadata(finish_reason),
            usage_metadata=_usage(messages, text),
            chunk_position="last",
        )
        chunk = ChatGenerationChunk(message=last)
        if run_manager:
            run_manager.on_llm_new_token(words[-1], chunk=chunk)
        yield chunk

    def _answer(
        self,
        messages: Sequence[BaseMessage],
        stop: Sequence[str] | None,
        max_tokens: int | None,
        response_schema: Mapping[str, Any] | None,
    ) -> tuple[str, str]:
        """Give the answer and why it ended."""
        most = self.max_tokens if max_tokens is None else max_tokens
        if response_schema is not None:
            return _within([fill(response_schema, messages, most)], most)
        asked = read(messages)
        found = [quote.cited for quote in quotes(asked.question, asked.passages)]
        text, finish_reason = _within(found or [DO_NOT_KNOW], most)
        ends = [text.index(mark) for mark in stop or () if mark in text]
        return (text[: min(ends)], "stop") if ends else (text, finish_reason)


def _within(sentences: Sequence[str], most: int | None) -> tuple[str, str]:
    """Join what fits into so many tokens: whole sentences, or the first words of the first."""
    text = " ".join(sentences)
    if most is None or estimate(text) <= most:
        return text, "stop"
    for kept in range(len(sentences) - 1, 0, -1):
        text = " ".join(sentences[:kept])
        if estimate(text) <= most:
            return text, "length"
    words = sentences[0].split(" ")
    while words and estimate(" ".join(words)) > most:
        words.pop()
    return " ".join(words), "length"


def _metadata(finish_reason: str) -> dict[str, Any]:
    return {"finish_reason": finish_reason, "model_name": MODEL_NAME, "model_provider": "flowledger"}


def _usage(messages: Sequence[BaseMessage], text: str) -> UsageMetadata:
    read_tokens = sum(estimate(message.text) + _PER_MESSAGE for message in messages)
    written = estimate(text)
    return UsageMetadata(input_tokens=read_tokens, output_tokens=written, total_tokens=read_tokens + written)
