"""Serves the HTTP API of an app until told to stop, with a worker at its side if wanted."""

import asyncio
import ipaddress
import os
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from engine.app import App
from engine.errors import ConfigurationError
from engine.server.api import api_of
from engine.server.tokens import Tokens, make_token
from engine.server.watch import Watch
from engine.worker import Worker

_MOST_CONNECTIONS = 1_000
_MOST_HEAD_BYTES = 32_768
_HEAD_SECONDS = 20  # so long a connection may take to say what it wants, first and next
_DRAIN_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Serving:
    """The HTTP API of an app on an address.

    Attributes:
        port: 0 is any that is free.
        worker: works on queued runs in the same process.
        on_start: is told the address, and the token of this session if there is one.
        on_stop: is told that requests in progress are being finished.
    """

    app: App
    host: str = "127.0.0.1"
    port: int = 8000
    worker: Worker | None = None
    on_start: Callable[[str, str | None], None] = lambda address, token: None
    on_stop: Callable[[], None] = lambda: None

    async def run(self) -> None:
        """Serve until a signal says to stop; a second one stops at once.

        Raises:
            ConfigurationError: the address cannot be used, or others could reach it and there is no token.
            StoreError: the ledger cannot be read.
        """
        tokens, session = await self._tokens()
        watch = Watch(self.app.ledger)
        bound = self._bound()
        server = _Server(_config(api_of(self.app, tokens, watch)), lambda: self._stop(watch))
        working = None if self.worker is None else asyncio.create_task(self.worker.run())
        if working is not None:
            working.add_done_callback(lambda _: server.stop())  # it ends by itself only where it cannot work
        host, port = bound.getsockname()[:2]
        self.on_start(f"http://{f'[{host}]' if ':' in host else host}:{port}", session)
        try:
            await server.serve(sockets=[bound])
        finally:
            bound.close()
            if self.worker is not None and working is not None:
                self.worker.drain()
                await working

    def _stop(self, watch: Watch) -> None:
        watch.is_closing.set()
        if self.worker is not None:
            self.worker.drain()
        self.on_stop()

    async def _tokens(self) -> tuple[Tokens, str | None]:
        """Give the tokens of the ledger; where there is none, one for this session, which only this machine can use.

        Raises:
            ConfigurationError: others could reach the address and there is no token.
        """
        tokens = Tokens(self.app.ledger, self.app.clock)
        if await tokens.look():
            return tokens, None
        if not _is_loopback(self.host):
            raise ConfigurationError(
                f"others could reach {self.host}, and there is no token yet: `flowledger token add NAME --scope "
                "runs:read --scope runs:write --tenant TENANT` makes one, or serve on 127.0.0.1"
            )
        text, token = make_token("session", scopes=["admin"], now=self.app.clock.now())
        tokens.session = token
        await tokens.look()
        return tokens, text

    def _bound(self) -> socket.socket:
        try:
            family, *_, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
            return socket.create_server(address[:2], family=family, backlog=2048)
        except OSError as error:
            raise ConfigurationError(
                f"--host {self.host} --port {self.port}: nothing can be served there: {error.strerror or error}"
            ) from error


class _Server(uvicorn.Server):
    """Lets streams and those who wait end when it is to stop, so that it can."""

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    def stop(self) -> None:
        """Take no more requests, and finish those in progress; the second time, end at once."""
        if self.should_exit:
            return
        self.should_exit = True
        self._on_stop()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Stop at a signal; a second one ends the process, and what it worked on goes on elsewhere."""
        loop = asyncio.get_running_loop()

        def hear() -> None:
            if self.should_exit:
                os._exit(130)
            self.stop()

        wanted = (signal.SIGTERM, signal.SIGINT)
        with suppress(NotImplementedError, RuntimeError, ValueError):  # a thread that is not the main one hears none
            for signum in wanted:
                loop.add_signal_handler(signum, hear)
        try:
            yield
        finally:
            with suppress(NotImplementedError, RuntimeError, ValueError):
                for signum in wanted:
                    loop.remove_signal_handler(signum)


class _Protocol(H11Protocol):
    """Lets go of a connection that takes too long to say what it wants."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the head of the first request."""
        super().connection_made(transport)
        self._wait_for_head()

    def on_response_complete(self) -> None:
        """Begin to wait for the next."""
        super().on_response_complete()
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        self._wait_no_longer()

    def _wait_for_head(self) -> None:
        self._wait_no_longer()  # a timer keeps all of the last request until it goes off or is cancelled
        self._late = self.loop.call_later(_HEAD_SECONDS, self._let_go, self.cycle)

    def _wait_no_longer(self) -> None:
        if self._late is not None:
            self._late.cancel()

    def _let_go(self, last: Any) -> None:
        if self.cycle is last and not self.transport.is_closing():
            self.transport.close()


def _config(api: Any) -> uvicorn.Config:
    return uvicorn.Config(
        api,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_CONNECTIONS,
        h11_max_incomplete_event_size=_MOST_HEAD_BYTES,
        timeout_keep_alive=_HEAD_SECONDS,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
