"""How an MCP server is reached: a command that is started, or an address."""

import asyncio
import os
import threading
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

import re2
from langchain_mcp_adapters.sessions import create_session
from mcp import ClientSession, StdioServerParameters, stdio_client

from engine import ConfigurationError

_VARIABLE = re2.compile(r"\$\{(\w+)\}")
_LONGEST_NAME = 120  # characters of a command
_LONGEST_LINE = 300  # characters of what it writes to its standard error
_SECONDS_TO_HEAR = 1.0  # for the last of it, once it has ended
_SHORTEST_SECRET = 8  # characters; shorter values would be found in ordinary words


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """A server's command with its environment, or its address with its headers.

    Attributes:
        command: the program and its arguments; empty where there is an address.
        url: the address of a server that speaks streamable HTTP; empty where there is a command.
        secrets: variables of the environment, or headers; `${NAME}` in a value is this process's variable NAME.
        start_seconds: how long the server may take until it can be asked.
    """

    command: Sequence[str]
    url: str
    secrets: Mapping[str, str]
    start_seconds: float
    _heard: "deque[str]" = field(default_factory=lambda: deque[str](maxlen=3))

    @property
    def name(self) -> str:
        """The server, for messages; a query may hold a key, and is left out."""
        return f"the MCP server {' '.join(self.command)[:_LONGEST_NAME] or self.url.partition('?')[0]!r}"

    @property
    def lateness(self) -> TimeoutError:
        """What is raised where the server takes too long to begin."""
        return TimeoutError(f"it was not ready within {self.start_seconds:g} seconds")

    @property
    def last_words(self) -> str:
        """The last lines that the server wrote to its standard error, secrets taken out."""
        return self.without_secrets(" / ".join(self._heard))

    def without_secrets(self, text: str) -> str:
        """Take the values of the environment or the headers, and what follows the address, out of a text."""
        for value in self._values().values():
            if len(value) >= _SHORTEST_SECRET:
                text = text.replace(value, "***")
        return text.replace(self.url, self.url.partition("?")[0]) if self.url else text

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[ClientSession]:
        """Give a session with the server, not yet initialised; open and close it in one task.

        Raises:
            ConfigurationError: a variable is not set.
        """
        for found in _VARIABLE.finditer(" ".join(self.secrets.values())):
            if found[1] not in os.environ:
                raise ConfigurationError(f"{self.name} needs the environment variable {found[1]}, which is not set")
        given = self._values()
        if self.url:
            async with create_session({"transport": "streamable_http", "url": self.url, "headers": given}) as session:
                yield session
            return
        program, *arguments = self.command
        async with self._hearing() as errors:
            server = StdioServerParameters(command=program, args=arguments, env=given)
            async with stdio_client(server, errors) as streams, ClientSession(*streams) as session:
                yield session

    @asynccontextmanager
    async def _hearing(self) -> AsyncGenerator[TextIO]:
        """Give a file whose last lines are kept; a thread empties it, so that the server is never held up."""
        reading, writing = os.pipe()
        self._heard.clear()

        def hear() -> None:
            with open(reading, encoding="utf-8", errors="replace") as lines:  # noqa: PTH123 - a descriptor, not a path
                self._heard.extend(line.strip()[:_LONGEST_LINE] for line in lines if line.strip())

        thread = threading.Thread(target=hear, name="mcp-stderr", daemon=True)
        thread.start()
        try:
            with os.fdopen(writing, "w") as errors:
                yield errors
        finally:
            await asyncio.to_thread(thread.join, _SECONDS_TO_HEAR)

    def _values(self) -> dict[str, str]:
        return {name: _VARIABLE.sub(_value_of, text) for name, text in self.secrets.items()}


def _value_of(found: Any) -> str:
    return os.environ.get(found[1], "")
