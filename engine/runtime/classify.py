"""Errors of vendors become errors of the engine, by kind: status code first, then the name of the class."""

import json
import os
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from engine.definition.redaction import IN_FORCE
from engine.errors import (
    AuthenticationFailed,
    BadRequest,
    CallError,
    CallTimeout,
    ConnectionFailed,
    ContentFiltered,
    ContextTooLong,
    EngineError,
    MalformedOutput,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    TargetNotFound,
    ToolFailed,
)

_BY_STATUS: dict[int, type[CallError]] = {
    401: AuthenticationFailed,
    403: AuthenticationFailed,
    402: QuotaExhausted,
    404: TargetNotFound,
    408: CallTimeout,
    409: Overloaded,
    413: ContextTooLong,
    429: RateLimited,
}
_TOO_LONG = (
    *("context_length", "context length", "maximum context", "context window", "too many tokens"),
    *("prompt is too long", "input is too long", "exceeds the maximum number of tokens", "input token count"),
)
_SPENT = ("insufficient_quota", "exceeded your current quota", "credit balance is too low", "billing_hard_limit")
_FILTERED = ("content_filter", "content policy", "content_policy", "responsibleaipolicy")
_SECRET_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD")
_LONGEST_MESSAGE = 500
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|h|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def as_call_error(error: Exception, target: str) -> CallError | EngineError:
    """Give the engine's error for whatever a client raised; errors of the engine stay as they are."""
    if isinstance(error, EngineError):
        return error
    status = _status_of(error)
    said = scrub(str(error) or type(error).__name__)[:_LONGEST_MESSAGE]
    kind = _kind_by_status(status, said) if status is not None else _kind_by_class(error)
    where = f"{target} answered {status}" if status is not None else f"{target}: {type(error).__name__}"
    return kind(f"{where}: {said}", retry_after=retry_after(error))


def tool_error(error: Exception, target: str) -> CallError | EngineError:
    """Give the engine's error for what a tool raised; its connections and time-outs keep their kind."""
    known = as_call_error(error, target)
    if isinstance(known, MalformedOutput) or type(known) is BadRequest:
        return ToolFailed(f"{target} raised {type(error).__name__}: {scrub(str(error))[:_LONGEST_MESSAGE]}")
    return known


def retry_after(error: Exception) -> float | None:
    """Read how many seconds a target asks to be left alone, from its headers."""
    headers: Any = getattr(getattr(error, "response", None), "headers", None) or {}
    milliseconds = headers.get("retry-after-ms")
    if milliseconds is not None and _is_number(milliseconds):
        return float(milliseconds) / 1000
    said = headers.get("retry-after")
    if said is None:
        return _reset_of(headers)
    if _is_number(said):
        return max(float(said), 0.0)
    try:
        return max((parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return None


def _reset_of(headers: Any) -> float | None:
    """Read when the limit that was met is lifted, where a provider says only that: the latest of those used up."""
    waits: list[float] = []
    for limit in ("requests", "tokens", "input-tokens", "output-tokens"):
        for remaining, reset in (
            (f"x-ratelimit-remaining-{limit}", f"x-ratelimit-reset-{limit}"),
            (f"anthropic-ratelimit-{limit}-remaining", f"anthropic-ratelimit-{limit}-reset"),
        ):
            wait = _seconds_until(headers.get(reset)) if headers.get(remaining) == "0" else None
            waits += [] if wait is None else [wait]
    return max(waits, default=None)


def _seconds_until(said: str | None) -> float | None:
    """Read `6m0s`, `20ms`, a number of seconds, or a time."""
    if said is None:
        return None
    if _is_number(said):
        return max(float(said), 0.0)
    parts = _SPAN.findall(said)
    if parts and "".join(number + unit for number, unit in parts) == said:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        return None
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0) if moment.tzinfo else None


def scrub(text: str) -> str:
    """Take the values of secrets in the environment out of a text, and what the app redacts."""
    for name, value in os.environ.items():
        if len(value) >= 8 and any(part in name.upper() for part in _SECRET_NAMES):
            text = text.replace(value, "***")
    redaction = IN_FORCE.get()
    return text if redaction is None else redaction.text(text)


def _status_of(error: Exception) -> int | None:
    response: Any = getattr(error, "response", None)
    found: Any = getattr(error, "status_code", None)
    if found is None and response is not None:
        found = getattr(response, "status_code", None)
    if found is None:
        found = getattr(error, "code", None)  # google's errors carry the HTTP code here
    return found if isinstance(found, int) and 400 <= found < 600 else None


def _kind_by_status(status: int, said: str) -> type[CallError]:
    lower = said.lower()
    if status in (400, 413, 422) and any(mark in lower for mark in _TOO_LONG):
        return ContextTooLong
    if status in (400, 403) and any(mark in lower for mark in _FILTERED):
        return ContentFiltered
    if status in (400, 402, 429) and any(mark in lower for mark in _SPENT):
        return QuotaExhausted
    return _BY_STATUS.get(status) or (Overloaded if status >= 500 else BadRequest)


def _kind_by_class(error: Exception) -> type[CallError]:
    """Judge by the class: clients of vendors are not imported, so names have to do."""
    names = {cls.__name__ for cls in type(error).__mro__}
    if isinstance(error, TimeoutError) or names & {"TimeoutException", "Timeout", "APITimeoutError"}:
        return CallTimeout
    if isinstance(error, ConnectionError) or names & {"TransportError", "APIConnectionError", "ConnectionError"}:
        return ConnectionFailed
    if isinstance(error, json.JSONDecodeError) or "OutputParserException" in names:
        return MalformedOutput
    return BadRequest


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
