"""A model behind a provider that keeps to limits, simulated: so many requests and tokens in any minute, else 429."""

from collections import deque
from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from engine.ports import Clock

_MINUTE_NS = 60 * 10**9


class TooManyRequestsError(Exception):
    """What the client of such a provider raises; it looks like those of real ones."""

    def __init__(self, seconds: float) -> None:
        super().__init__("rate limit reached")
        self.status_code = 429
        self.response = _Response({"retry-after": f"{seconds:.3f}"})


class _Response:
    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers


class LimitedModel(BaseChatModel):
    """Answers after a while, and refuses what passes its limits in the minute before; what it refuses takes nothing."""

    clock: Any
    """Tells the time, and lets it pass."""
    requests_per_minute: int = 300
    tokens_per_minute: int = 50_000
    seconds: float = 2.0
    """How long an answer takes."""
    input_tokens: int = 100
    output_tokens: int = 60
    _accepted: deque[tuple[int, int]] = PrivateAttr(default_factory=deque[tuple[int, int]])
    _refused: int = PrivateAttr(default=0)
    _answered: int = PrivateAttr(default=0)

    @property
    def _llm_type(self) -> str:
        return "limited"

    @property
    def answered(self) -> int:
        """How many requests were answered."""
        return self._answered

    @property
    def refused(self) -> int:
        """How many requests were refused."""
        return self._refused

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        del messages, stop, run_manager, kwargs
        clock: Clock = self.clock
        self._accept(clock.monotonic_ns())
        await clock.sleep(self.seconds)
        self._answered += 1
        return ChatResult(generations=[ChatGeneration(message=self._message())])

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError("ask it with ainvoke")

    def _message(self) -> AIMessage:
        read, wrote = self.input_tokens, self.output_tokens
        usage = UsageMetadata(input_tokens=read, output_tokens=wrote, total_tokens=read + wrote)
        ended = {"finish_reason": "stop", "model_name": "limited"}
        return AIMessage(content="Five days.", usage_metadata=usage, response_metadata=ended)

    def _accept(self, now_ns: int) -> None:
        """Count a request, or refuse it until enough of the last minute has passed."""
        accepted, tokens = self._accepted, self.input_tokens + self.output_tokens
        while accepted and accepted[0][0] <= now_ns - _MINUTE_NS:
            accepted.popleft()
        used = sum(count for _, count in accepted)
        if len(accepted) < self.requests_per_minute and used + tokens <= self.tokens_per_minute:
            accepted.append((now_ns, tokens))
            return
        self._refused += 1
        raise TooManyRequestsError(self._seconds_until_room(accepted, used + tokens, now_ns))

    def _seconds_until_room(self, accepted: Sequence[tuple[int, int]], used: int, now_ns: int) -> float:
        left = len(accepted)
        for at_ns, count in accepted:
            left, used = left - 1, used - count
            if left < self.requests_per_minute and used <= self.tokens_per_minute:
                return max((at_ns + _MINUTE_NS - now_ns) / 1e9, 0.001)
        return 60.0
