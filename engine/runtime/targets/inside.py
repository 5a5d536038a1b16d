"""The models that a runnable asks by itself: each request is reserved before it goes out, and settled when it ends.

LangChain tells of them through callbacks. A callback can refuse a request and cannot change it, so what does not fit
the budget is refused, and no answer is cut to what is left.
"""

import asyncio
import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, message_to_dict
from langchain_core.outputs import ChatGeneration, LLMResult
from pydantic_core import to_jsonable_python

from engine.errors import BudgetExceeded, EngineError, NodeFailed
from engine.models.charges import UnboundModel
from engine.models.roles import provider_name
from engine.models.tokens import bound_messages
from engine.payloads import Shared, digest
from engine.records import CallRecord
from engine.runtime.answer import Answer
from engine.runtime.classify import as_call_error
from engine.runtime.compose import compose
from engine.runtime.history import MODEL_CALL
from engine.runtime.run import Call, CallNext
from engine.runtime.stacks import INSIDE_STACK
from engine.runtime.targets.model import finish_reason, said, usage_of
from engine.usage import Account, Amount, Price, Usage

_MAX_TOKENS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "num_predict")


@dataclass(slots=True, kw_only=True)
class ModelInside:
    """A model that is asked by a runnable, as a target; the payload of the call is {messages, tools}.

    Attributes:
        runnable: the import path of the runnable.
        sent: done once the request may go out.
        answer: done once LangChain tells of the end.
    """

    provider: str
    model: str
    price: Price | None
    runnable: str
    sent: asyncio.Event = field(default_factory=asyncio.Event)
    answer: "asyncio.Future[Answer]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def name(self) -> str:
        """The model, for limits and messages."""
        return f"{self.provider}:{self.model}"

    @property
    def identity(self) -> str:
        """Its name."""
        return self.name

    @property
    def _priced(self) -> UnboundModel:
        return UnboundModel(self.provider, self.model, self.price)

    def bound(self, call: Call, account: Account) -> Amount:
        """Bound the input, and add the longest answer.

        Raises:
            BudgetExceeded: the budget is in USD and the model has no known price.
        """
        call.max_tokens = call.asked_tokens
        read = bound_messages(call.payload["messages"], tools=call.payload["tools"] or None)
        dearest = call.run.charges.dearest(self._priced, read, call.max_tokens, call.run.clock.now())
        if dearest is None and account.left("nano_usd") is not None:
            raise BudgetExceeded(
                f"the price of {self.provider}:{self.model}, which {self.runnable!r} asks, is not known and the budget "
                f"is in USD: give prices={{{self.model!r}: Price(input=..., output=...)}} with the runnable"
            )
        return Amount(tokens=read + call.max_tokens, nano_usd=dearest or 0, calls=1)

    def describe(self, call: Call, record: CallRecord) -> None:
        """Say which model, with which limit, and inside what."""
        record.provider_name, record.request_model = self.provider, self.model
        record.request_max_tokens, record.tool_name = call.max_tokens, self.runnable

    def cost(self, call: Call, usage: Usage) -> tuple[int | None, str, str | None]:
        """Price a usage."""
        return call.run.charges.cost(self._priced, usage, call.run.clock.now())

    async def send(self, call: Call) -> Answer:
        """Let the request go out, and wait for its answer."""
        del call
        self.sent.set()
        return await self.answer

    def restore(self, call: Call, response: Any) -> Answer:
        """Never asked: the runnable is restored as a whole."""
        raise NotImplementedError


async def _wait_for_answer(call: Call) -> Answer:
    return await call.target.send(call)


_make: CallNext = compose(INSIDE_STACK, _wait_for_answer)


async def _settled(call: Call) -> Answer:
    return await _make(call)


class ModelsInside(BaseCallbackHandler):
    """Hears of each request to a model inside one call of a runnable, from whichever thread it is made.

    Args:
        outer: the call of the runnable; requests inside share its ordinal and count its attempts on.
        runnable: its import path.
        max_tokens: the longest answer of a model that does not say so itself.
        prices: prices of models by name, which win over the catalogue's.
    """

    raise_error = True  # a refusal is raised where the model would have been asked

    def __init__(self, outer: Call, runnable: str, max_tokens: int, prices: Mapping[str, Price]) -> None:
        self._outer, self._runnable, self._max_tokens, self._prices = outer, runnable, max_tokens, prices
        self._attempt = outer.record.call_id if outer.record else ""
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._open: dict[UUID, tuple[ModelInside, asyncio.Task[Answer]]] = {}

    def on_chat_model_start(
        self, serialized: Any, messages: list[list[BaseMessage]], *, run_id: UUID, **told: Any
    ) -> None:
        """Reserve what a chat model may spend, or refuse it."""
        del serialized
        self._on_loop(self._begin(run_id, messages[0], told))

    def on_llm_start(self, serialized: Any, prompts: list[str], *, run_id: UUID, **told: Any) -> None:
        """Reserve what a model of texts may spend, or refuse it."""
        del serialized
        self._on_loop(self._begin(run_id, [HumanMessage(prompt) for prompt in prompts], told))

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **told: Any) -> None:
        """Settle what a model has spent."""
        del told
        self._on_loop(self._end(run_id, response))

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **told: Any) -> None:
        """Settle a request that failed."""
        del told
        self._on_loop(self._fail(run_id, error))

    async def close(self) -> None:
        """Settle the requests of whose end nobody has told: they were cut off."""
        tasks = [task for _, task in self._open.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_loop(self, work: Coroutine[Any, Any, None]) -> None:
        """Have the run's own event loop do some work, and wait for it."""
        if threading.get_ident() == self._thread:
            work.close()
            raise NodeFailed(
                f"the runnable {self._runnable!r} calls a model with invoke() in an async function, which holds up all "
                "other runs: call it with `await ainvoke()`"
            )
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _begin(self, run_id: UUID, messages: Sequence[BaseMessage], told: Mapping[str, Any]) -> None:
        metadata: dict[str, Any] = told.get("metadata") or {}
        params: dict[str, Any] = told.get("invocation_params") or {}
        name = str(metadata.get("ls_model_name") or params.get("model") or params.get("model_name") or "unknown")
        model = ModelInside(
            provider=provider_name(str(metadata.get("ls_provider") or "unknown")),
            model=name,
            price=self._prices.get(name),
            runnable=self._runnable,
        )
        known = [metadata.get("ls_max_tokens"), *(params.get(key) for key in _MAX_TOKENS)]
        most = next((int(tokens) for tokens in known if tokens), self._max_tokens)
        call = self._call(model, messages, params.get("tools") or (), most)
        task, sent = asyncio.create_task(_settled(call)), asyncio.create_task(model.sent.wait())
        await asyncio.wait({task, sent}, return_when=asyncio.FIRST_COMPLETED)
        sent.cancel()
        if task.done():
            await task  # it was refused
        self._open[run_id] = (model, task)

    def _call(self, model: ModelInside, messages: Sequence[BaseMessage], tools: Sequence[Any], most: int) -> Call:
        outer = self._outer
        outer.attempt += 1
        request: dict[str, Any] = {"model": model.model, "messages": list(map(said, messages)), "max_tokens": most}
        request = to_jsonable_python({**request, **({"tools": tools} if tools else {})}, fallback=str)
        request["messages"] = Shared(request["messages"])
        return Call(
            step=outer.step,
            targets=[model],
            operation=MODEL_CALL,
            role=model.name,
            request=request,
            request_hash=digest([self._attempt, request]),  # never the same: it is not answered from the journal
            payload={"messages": messages, "tools": tools},
            ordinal=outer.ordinal,
            attempt=outer.attempt,
            asked_tokens=most,
        )

    async def _end(self, run_id: UUID, response: LLMResult) -> None:
        if run_id not in self._open:
            return
        model, task = self._open.pop(run_id)
        generation = response.generations[0][0]
        message = generation.message if isinstance(generation, ChatGeneration) else AIMessage(generation.text)
        model.answer.set_result(_answer(message))
        await task

    async def _fail(self, run_id: UUID, error: BaseException) -> None:
        if run_id not in self._open:
            return
        model, task = self._open.pop(run_id)
        if not isinstance(error, Exception):
            task.cancel()
            await asyncio.wait({task})
            return
        failure = as_call_error(error, model.name)
        model.answer.set_exception(failure)
        try:
            await task
        except EngineError as settled:
            if settled is not failure:
                raise


def _answer(message: BaseMessage) -> Answer:
    plain = to_jsonable_python(message_to_dict(message)["data"] | {"type": message.type}, fallback=str)
    if not isinstance(message, AIMessage):
        return Answer(value=None, response=plain)
    about = message.response_metadata
    return Answer(
        value=None,
        response=plain,
        usage=usage_of(message),
        response_model=about.get("model_name") or about.get("model"),
        response_id=message.id,
        finish_reason=finish_reason(message),
    )
