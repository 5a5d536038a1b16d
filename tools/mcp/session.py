"""A session with an MCP server in one event loop; one task opens and closes it, as its cancel scopes demand."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

from anyio import BrokenResourceError, ClosedResourceError
from mcp import ClientSession, McpError
from mcp.types import (
    CONNECTION_CLOSED,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    ClientRequest,
    PaginatedRequestParams,
    Tool,
)
from pydantic import ValidationError

from tools.mcp.transport import Transport

Answer = TypeVar("Answer")

_FORGOTTEN = 32600  # how mcp's client says that a server at an address no longer knows the session


class NotSentError(Exception):
    """The server was not asked.

    Attributes:
        cause: why the session could not be opened, or was over.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Session:
    """Asks one server, several things at once; it lasts until it is ended, the server dies or the loop ends."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._ready: asyncio.Future[ClientSession] = asyncio.get_running_loop().create_future()
        self._ending = asyncio.Event()
        # An empty context: what the call that begins a session carries is none of the session's business.
        self.task = asyncio.create_task(self._own(), context=contextvars.Context())
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())

    @property
    def is_open(self) -> bool:
        """Whether the server has answered once."""
        return self._ready.done()

    @property
    def is_over(self) -> bool:
        """Whether another session is needed."""
        return self._ending.is_set() or self.task.done()

    async def end(self) -> None:
        """Close the session."""
        self._ending.set()
        await asyncio.wait({self.task})

    async def list_tools(self) -> list[Tool]:
        """Give the tools that the server has.

        Raises:
            NotSentError: the session cannot be opened.
            ConnectionError: the server died meanwhile.
            McpError: the server refused.
        """
        tools: list[Tool] = []
        page = await self._ask(lambda client: client.list_tools())
        while True:
            tools += page.tools
            if not page.nextCursor:
                return tools
            place = PaginatedRequestParams(cursor=page.nextCursor)
            page = await self._ask(lambda client, place=place: client.list_tools(params=place))

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> CallToolResult:
        """Call a tool.

        Raises:
            NotSentError: the tool was not called.
            ConnectionError: the server died in the middle of the call, or gave what cannot be read.
            McpError: the server refused.
        """
        request = ClientRequest(CallToolRequest(params=CallToolRequestParams(name=tool, arguments=dict(arguments))))
        try:
            # Not `client.call_tool`: it raises where the answer of a tool that has acted does not fit its schema.
            return await self._ask(lambda client: client.send_request(request, CallToolResult))
        except ValidationError as error:
            raise ConnectionError(f"{self._transport.name} gave an answer that cannot be read") from error

    async def _own(self) -> None:
        async with self._transport.open() as client:
            async with asyncio.timeout(self._transport.start_seconds):
                await client.initialize()
            self._ready.set_result(client)
            await self._ending.wait()

    async def _ask(self, send: Callable[[ClientSession], Awaitable[Answer]]) -> Answer:
        await asyncio.wait({self._ready, self.task}, return_when=asyncio.FIRST_COMPLETED)
        if not self._ready.done():
            raise NotSentError(self._end_of_task())
        answer = asyncio.ensure_future(send(self._ready.result()))
        try:
            await asyncio.wait({answer, self.task}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():  # an address that refuses one request ends the session, whatever else was asked
                raise ConnectionError(f"{self._transport.name} broke off: {self._end_of_task()}")
            return answer.result()
        except (BrokenResourceError, ClosedResourceError) as error:
            self._ending.set()
            raise NotSentError(self._death()) from error
        except McpError as error:
            if error.error.code == _FORGOTTEN:
                self._ending.set()
                raise NotSentError(error) from error
            if _says_closed(error):
                await self.end()
                raise self._death() from error
            raise
        finally:
            answer.cancel()

    def _end_of_task(self) -> Exception:
        """Say why the task has ended: the first error in its groups, unless that says only that the server is gone."""
        error = None if self.task.cancelled() else self.task.exception()
        while isinstance(error, BaseExceptionGroup):
            error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
        if isinstance(error, TimeoutError):
            return self._transport.lateness
        if not isinstance(error, Exception) or isinstance(error, BrokenResourceError) or _says_closed(error):
            return self._death()
        return error

    def _death(self) -> ConnectionError:
        last = self._transport.last_words
        return ConnectionError(f"{self._transport.name} has ended{f' ({last})' if last else ''}")


def _says_closed(error: Exception) -> bool:
    """Tell the client's own word for a dead server from an error of a server that uses the same number."""
    return isinstance(error, McpError) and (error.error.code, str(error)) == (CONNECTION_CLOSED, "Connection closed")
