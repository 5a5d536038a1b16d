"""Sinks: who is told of an alarm: the log, an address on the web, a program."""

import asyncio
import hashlib
import hmac
import json
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from engine.errors import ConfigurationError

SIGNATURE = "X-Flowledger-Signature"
"""The header `t=SECONDS,v1=HEX`: HMAC-SHA256 of `SECONDS.BODY` under the secret."""

_LOG = logging.getLogger("flowledger.alarms")
_PASSING = (408, 409, 425, 429)


class NotDeliveredError(Exception):
    """A sink did not take an event, in a sentence; it is tried again unless that is of no use (`is_final`)."""

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


class Sink(Protocol):
    """Is told of events of alarms."""

    @property
    def label(self) -> str:
        """What the ledger calls it; says nothing that lets anybody in."""
        ...

    async def send(self, event: Mapping[str, Any], now: float) -> None:
        """Tell it; `now` in seconds since 1970.

        Raises:
            NotDeliveredError: it did not take it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Log:
    """The log `flowledger.alarms`: a warning when an alarm is raised, else an info."""

    @property
    def label(self) -> str:
        """The log."""
        return "log"

    async def send(self, event: Mapping[str, Any], now: float) -> None:
        """Write a line."""
        del now
        level = logging.WARNING if event["what"] == "raised" else logging.INFO
        _LOG.log(level, "%s", event["text"])


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that takes JSON by POST.

    Attributes:
        url: the address; only its host goes into the ledger.
        secret_env: the environment variable with the secret that signs what is sent; the secret itself is kept nowhere.
        headers: sent along.
        seconds: how long an answer is waited for.
    """

    url: str
    secret_env: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    seconds: float = 10.0

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # brackets that do not close, or a port that is none
            is_address = False
        if not is_address:
            raise ConfigurationError(
                "a Webhook has an address that begins with https:// or http:// and names a host"
            ) from None

    @property
    def label(self) -> str:
        """Its host."""
        return f"webhook {urlsplit(self.url).hostname}"

    async def send(self, event: Mapping[str, Any], now: float) -> None:
        """Post it, signed if there is a secret."""
        import httpx

        body = json.dumps(event, sort_keys=True).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(event["id"]), **self.headers}
        if self.secret_env is not None:
            secret = os.environ.get(self.secret_env)
            if not secret:
                raise NotDeliveredError(f"the environment variable {self.secret_env} with the secret is not set")
            headers[SIGNATURE] = signature(secret, body, int(now))
        try:
            async with httpx.AsyncClient(timeout=self.seconds) as client:
                answer = await client.post(self.url, content=body, headers=headers)
        except httpx.HTTPError as error:  # its text may hold the address, and that a token
            raise NotDeliveredError(f"the host did not answer: {type(error).__name__}") from error
        if not answer.is_success:
            is_final = answer.is_client_error and answer.status_code not in _PASSING
            raise NotDeliveredError(f"the host answered {answer.status_code}", is_final=is_final)


@dataclass(frozen=True, slots=True)
class Command:
    """A program that is given the event as JSON on standard input; no shell reads its arguments.

    Attributes:
        argv: the program and its arguments.
        seconds: how long it may take; then it is killed, with what it has started.
    """

    argv: Sequence[str]
    seconds: float = 10.0

    def __post_init__(self) -> None:
        if isinstance(self.argv, str) or not self.argv:
            raise ConfigurationError("a Command is a list of a program and its arguments, as in ['notify', '--now']")

    @property
    def label(self) -> str:
        """The program."""
        return f"command {self.argv[0]}"

    async def send(self, event: Mapping[str, Any], now: float) -> None:
        """Run it."""
        del now
        pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        start = asyncio.create_subprocess_exec  # no shell
        try:
            program = await start(*self.argv, stdin=pipe, stdout=nowhere, stderr=pipe, start_new_session=True)
        except OSError as error:
            raise NotDeliveredError(f"the program cannot be run: {error.strerror}") from error
        try:
            work = program.communicate(json.dumps(event, sort_keys=True).encode())
            _, said = await asyncio.wait_for(work, self.seconds)
        except TimeoutError as error:
            raise NotDeliveredError(f"the program took longer than {self.seconds:g} s") from error
        finally:
            if program.returncode is None:
                os.killpg(program.pid, signal.SIGKILL)  # what a program has started holds its pipes, and so `wait`
                with suppress(TimeoutError):
                    await asyncio.wait_for(program.wait(), 1)
        if program.returncode:
            last = (said.decode(errors="replace").strip().splitlines() or [""])[-1][:200]
            raise NotDeliveredError(f"the program ended with {program.returncode}" + (f": {last}" if last else ""))


def signature(secret: str, body: bytes, seconds: int) -> str:
    """Give the value of the header that signs a body."""
    told = hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256)
    return f"t={seconds},v1={told.hexdigest()}"
