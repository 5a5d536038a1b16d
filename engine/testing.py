"""A kit for testing workflows: clocks that need no waiting, models that say what they are told, processes that die.

Everything here works without a network, without sleeping and without patching.
"""

import asyncio
import inspect
import json
import multiprocessing
import os
import selectors
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolCall, ToolCallChunk
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field, PrivateAttr

from engine.crash_points import POINTS, listen

CRASH_POINTS = POINTS
"""Where a process can be killed: "before commit", "after commit", "before send", "after answer"."""

Worked = TypeVar("Worked")
Said = str | BaseException | dict[str, Any] | Callable[[Sequence[BaseMessage]], Any]
"""What a scripted model does next: say a text, raise, give an object, or ask a function."""


_POLL, _LATE = 0.001, 0.05  # real seconds


class StillClock:
    """Time passes only when somebody sleeps or says so; ids and chance are the same in every test."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC), chance: float = 0.0) -> None:
        self._now, self._chance, self._ids = start, chance, 0
        self.slept: list[float] = []

    def now(self) -> datetime:
        """Tell the time."""
        return self._now

    def monotonic_ns(self) -> int:
        """Count nanoseconds since the epoch."""
        return int(self._now.timestamp() * 1e9)

    async def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.slept.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)

    def new_run_id(self) -> str:
        """Give the next id of 32 hex digits."""
        return f"{self._next():032x}"

    def new_id(self) -> str:
        """Give the next id of 16 hex digits."""
        return f"{self._next():016x}"

    def random(self) -> float:
        """Give the one number that this clock draws."""
        return self._chance

    def _next(self) -> int:
        self._ids += 1
        return self._ids


class VirtualClock(StillClock):
    """Time passes at once to the next moment for which anybody waits, when all wait; for `in_virtual_time` only."""

    def now(self) -> datetime:
        """Tell the time."""
        return self._now + timedelta(seconds=asyncio.get_running_loop().time())

    def monotonic_ns(self) -> int:
        """Count nanoseconds since the work began."""
        return round(asyncio.get_running_loop().time() * 1e9)

    async def sleep(self, seconds: float) -> None:
        """Let time pass for whoever sleeps, in order with all others."""
        await asyncio.sleep(seconds)


class _Jumping(selectors.DefaultSelector):
    """Waits for no time to pass, but says how much would have."""

    def __init__(self, is_idle: Callable[[], bool]) -> None:
        super().__init__()
        self.passed, self._is_idle = 0.0, is_idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Give what is ready; if nothing is and no thread is at work, let the time pass."""
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        was_busy = False
        while not self._is_idle():
            was_busy = True
            if ready := super().select(_POLL):
                return ready
        ready = super().select(_LATE if was_busy else _POLL)  # a thread says that it is done a little after it is
        if not ready:
            self.passed += timeout
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, is_idle: Callable[[], bool]) -> None:
        self._jumping = _Jumping(is_idle)
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.passed


def in_virtual_time(work: Coroutine[Any, Any, Worked], *, is_idle: Callable[[], bool] = lambda: True) -> Worked:
    """Do work in which time passes only when nothing else is left to do; hours take no longer than what is done.

    Args:
        work: asks a VirtualClock, or asyncio, for the time.
        is_idle: says whether no other thread is at work, as `app.ledger.is_idle` does; no time passes before.
    """
    with asyncio.Runner(loop_factory=lambda: _VirtualLoop(is_idle)) as runner:
        return runner.run(work)


class ScriptedModel(BaseChatModel):
    """A chat model that says what its script tells it, in order, and remembers what it was asked."""

    script: list[Any] = Field(default_factory=list[Any])
    """What it does, one entry a request; the last one repeats."""
    model_name: str = "scripted"
    input_tokens: int | None = 10
    """What it says it read; None says nothing about usage."""
    output_tokens: int = 5
    """What it says it wrote, unless the request allows fewer."""
    _asked: list[list[BaseMessage]] = PrivateAttr(default_factory=list[list[BaseMessage]])
    _options: list[dict[str, Any]] = PrivateAttr(default_factory=list[dict[str, Any]])

    @property
    def asked(self) -> list[list[BaseMessage]]:
        """The messages of each request."""
        return self._asked

    @property
    def options(self) -> list[dict[str, Any]]:
        """The further parameters of each request."""
        return self._options

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._say(messages, kwargs))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        yield from _chunks(self._say(messages, kwargs))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in _chunks(self._say(messages, kwargs)):
            yield chunk

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        await asyncio.sleep(0)  # let others run, as a real request does
        return self._generate(messages, stop, None, **kwargs)

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: str | None = None, **kwargs: Any) -> Any:
        """Take tools, which then stand among the further parameters; the script says whether one is called."""
        del tool_choice
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _say(self, messages: Sequence[BaseMessage], options: dict[str, Any]) -> AIMessage:
        number = len(self._asked)
        self._asked.append(list(messages))
        self._options.append(options)
        said = self.script[min(number, len(self.script) - 1)]
        if callable(said) and not isinstance(said, type):
            said = said(messages)
        if isinstance(said, BaseException):
            raise said
        return _message(said, self._usage(options.get("max_tokens")))

    def _usage(self, max_tokens: int | None) -> UsageMetadata | None:
        if self.input_tokens is None:
            return None
        wrote = self.output_tokens if max_tokens is None else min(self.output_tokens, max_tokens)
        return UsageMetadata(
            input_tokens=self.input_tokens, output_tokens=wrote, total_tokens=self.input_tokens + wrote
        )


def _message(said: Any, usage: UsageMetadata | None) -> AIMessage:
    if isinstance(said, AIMessage):
        return said
    ended = {"finish_reason": "stop", "model_name": "scripted"}
    if isinstance(said, dict):
        arguments = cast("dict[str, Any]", said)
        call = ToolCall(name="answer", args=arguments, id="call-1", type="tool_call")
        return AIMessage(content="", tool_calls=[call], usage_metadata=usage, response_metadata=ended)
    return AIMessage(content=str(said), usage_metadata=usage, response_metadata=ended)


def _chunks(message: AIMessage) -> Iterator[ChatGenerationChunk]:
    words = str(message.content).split(" ")
    for number, word in enumerate(words):
        last = number == len(words) - 1
        yield ChatGenerationChunk(
            message=AIMessageChunk(
                content=word if last else f"{word} ",
                usage_metadata=message.usage_metadata if last else None,
                response_metadata=message.response_metadata if last else {},
                tool_call_chunks=_calls_in_pieces(message) if last else [],
                chunk_position="last" if last else None,
            )
        )


def _calls_in_pieces(message: AIMessage) -> list[ToolCallChunk]:
    return [
        ToolCallChunk(name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=number)
        for number, call in enumerate(message.tool_calls)
    ]


def asking_for(*calls: tuple[str, dict[str, Any]], text: str = "") -> AIMessage:
    """Give what a scripted model says to have tools called, each with its arguments."""
    return AIMessage(
        content=text,
        tool_calls=[
            ToolCall(name=name, args=arguments, id=f"call-{number}", type="tool_call")
            for number, (name, arguments) in enumerate(calls, 1)
        ],
        usage_metadata=UsageMetadata(input_tokens=10, output_tokens=5, total_tokens=15),
        response_metadata={"finish_reason": "tool_calls", "model_name": "scripted"},
    )


def kill_at(point: str, number: int = 1) -> None:
    """Have this process killed, as by the kernel, when it reaches a crash point for the so-manieth time from now on.

    What dies "before send" has sent nothing; what dies "after answer" has its answer, and has not written it.

    Raises:
        ValueError: there is no such point.
    """
    if point not in POINTS:
        raise ValueError(f"there is no crash point {point!r}; they are {', '.join(POINTS)}")
    reached = 0

    def hear(heard: str, *_: Any) -> None:
        nonlocal reached
        reached += heard == point
        if reached == number:
            os.kill(os.getpid(), signal.SIGKILL)

    listen(hear)


@contextmanager
def reached_points() -> Generator[Counter[str]]:
    """Count how often this process reaches each crash point meanwhile, so that a test can kill at every one."""
    reached: Counter[str] = Counter()

    def hear(point: str, *_: Any) -> None:
        reached[point] += 1

    stop = listen(hear)
    try:
        yield reached
    finally:
        stop()


def killed(work: Callable[..., Any], *arguments: Any, at: str, number: int = 1) -> bool:
    """Do some work in a process of its own, killed at a crash point; say whether it was. For Linux and macOS.

    Args:
        work: a function of a module, async or not; a workflow that it runs can then be resumed here.
        arguments: what it is given; they must be picklable.
        at: the point.
        number: how often it is reached until then; a process that does not reach it ends by itself.

    Raises:
        RuntimeError: the work raised.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["engine.app", work.__module__])  # what is imported once is forked from then on
    process = context.Process(target=_work_and_die, args=(at, number, work, arguments))
    process.start()
    process.join()
    code = process.exitcode or 0
    process.close()
    if code > 0:
        raise RuntimeError(f"{work.__qualname__} raised, and its process ended with the exit code {code}")
    return code != 0


def _work_and_die(point: str, number: int, work: Callable[..., Any], arguments: Sequence[Any]) -> None:
    kill_at(point, number)
    result = work(*arguments)
    if inspect.iscoroutine(result):
        asyncio.run(result)
