"""An MCP server: started or reached when one of its tools is needed, and no tool offered that is not declared."""

import asyncio
import inspect
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

from mcp import McpError
from mcp.types import CallToolResult, Tool

from engine import AgentTool, ConfigurationError, DefinitionError, ToolFailed
from tools.mcp.session import NotSentError, Session
from tools.mcp.tool import Effect, McpTool, answer_in, text_in
from tools.mcp.transport import Transport

_NOWHERE = "<server>"  # as Python marks what cannot be imported by its name
_LONGEST_FAULT = 500  # characters of what a server says is wrong


class McpServer:
    """A server whose declared tools are attributes, so that a definition names one as `module:server.tool`.

    Put it at the top of a module. The tools' names and parameters are asked of the server once, when the first of them
    is needed. Calls share one session an event loop; a server that has died is started anew at the next call.

    Args:
        tools: the tools that are offered, each with what it does to the world: `read`, `idempotent` or `once`.
        command: the program and its arguments, for a server that speaks over standard input and output.
        url: the address, for a server that speaks streamable HTTP.
        env: variables of the program's environment, beside PATH, HOME, USER, LOGNAME, SHELL and TERM; it inherits no
            others. `${NAME}` in a value is the variable NAME of this process, read when the server is started.
        headers: what goes with each request to the address; `${NAME}` is read in the same way.
        start_seconds: how long the server may take until it can be asked.

    Raises:
        DefinitionError: the arguments do not fit together.
    """

    def __init__(
        self,
        *,
        tools: Mapping[str, Effect],
        command: Sequence[str] = (),
        url: str = "",
        env: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        start_seconds: float = 30.0,
    ) -> None:
        self._transport = Transport(
            command=tuple(command), url=url, secrets={**(env or {}), **(headers or {})}, start_seconds=start_seconds
        )
        faults = [] if bool(command) != bool(url) else ["it needs either a command or a url"]
        faults += ["env is for a command: give headers"] if env and url else []
        faults += ["headers are for a url: give env"] if headers and command else []
        faults += (
            [] if tools else ["it offers no tools: declare them with their effects, as in tools={'search': 'read'}"]
        )
        for name, effect in tools.items():
            if effect not in get_args(Effect):
                faults.append(f"the effect of {name!r} is {effect!r}: say 'read', 'idempotent' or 'once'")
            if name.startswith("_") or "." in name or hasattr(type(self), name):
                faults.append(f"the tool {name!r} cannot be an attribute of it")
        if faults:
            raise DefinitionError(self._transport.name, faults)
        self._declared = dict(tools)
        self._made: dict[str, McpTool] = {}
        self._making = threading.Lock()
        self._sessions: dict[asyncio.AbstractEventLoop, Session] = {}
        caller = inspect.currentframe()
        self._module = caller.f_back.f_globals.get("__name__", "") if caller and caller.f_back else ""

    def __getattr__(self, name: str) -> McpTool:
        declared: Mapping[str, Effect] = self.__dict__.get("_declared", {})
        if name not in declared:
            offered = ", ".join(map(repr, declared))
            raise AttributeError(
                f"{self!r} offers no tool {name!r}, but {offered}: what is not declared is not offered"
            )
        with self._making:
            if not self._made:
                self._made = self._make()
        return self._made[name]

    def __repr__(self) -> str:
        transport: Transport | None = self.__dict__.get("_transport")
        return transport.name if transport else "an MCP server"

    def agent_tools(self, *names: str) -> list[AgentTool]:
        """Give tools, all of them if none is named, with their declared effects, for an Agent.

        Raises:
            AttributeError: a tool is not declared.
            ConfigurationError: the server cannot be asked which tools it has.
            DefinitionError: the server has no such tool, or does not stand at the top of a module.
        """
        tools = [getattr(self, name) for name in names or self._declared]
        return [AgentTool(tool=tool, effect=tool.effect) for tool in tools]

    async def close(self) -> None:
        """Close the session of this event loop, if there is one; the end of the loop does so too."""
        session = self._sessions.get(asyncio.get_running_loop())
        if session is not None:
            await session.end()

    def _make(self) -> dict[str, McpTool]:
        # In a thread with a loop of its own: workflows are built where a loop may be running already.
        with ThreadPoolExecutor(1, "mcp-tools") as thread:
            listed = thread.submit(asyncio.run, self._list()).result()
        if missing := [name for name in self._declared if name not in listed]:
            known = ", ".join(map(repr, listed)) or "none"
            raise DefinitionError(repr(self), [f"it has no tool {name!r}; it has {known}" for name in missing])
        names = vars(sys.modules[self._module]).items() if self._module in sys.modules else ()
        place = next((name for name, value in names if value is self), _NOWHERE)
        return {name: self._tool(listed[name], effect, place) for name, effect in self._declared.items()}

    async def _list(self) -> dict[str, Tool]:
        session = Session(self._transport)
        try:
            async with asyncio.timeout(self._transport.start_seconds):
                return {tool.name: tool for tool in await session.list_tools()}
        except NotSentError as error:
            if isinstance(error.cause, ConfigurationError):
                raise error.cause from None
            raise ConfigurationError(self._cannot_be_asked(error.cause)) from error
        except TimeoutError as error:
            raise ConfigurationError(self._cannot_be_asked(self._transport.lateness)) from error
        except (McpError, OSError) as error:
            raise ConfigurationError(self._cannot_be_asked(error)) from error
        finally:
            await session.end()

    def _tool(self, listed: Tool, effect: Effect, place: str) -> McpTool:
        async def call(arguments: Mapping[str, Any]) -> Any:
            return await self._call(listed.name, effect, arguments)

        call.__module__, call.__qualname__ = self._module, f"{place}.{listed.name}"
        return McpTool(
            name=listed.name,
            description=listed.description or "",
            args_schema={"properties": {}, **listed.inputSchema},
            effect=effect,
            coroutine=call,
        )

    async def _call(self, name: str, effect: Effect, arguments: Mapping[str, Any]) -> Any:
        try:
            result = await self._send(name, arguments)
        except NotSentError as error:
            # A lost connection leaves open whether an action was done; this one was not.
            kind = ToolFailed if effect == "once" else ConnectionError
            raise kind(f"the tool {name!r} was not called: {self._cannot_be_asked(error.cause)}") from error
        except ConnectionError as error:
            raise ConnectionError(self._transport.without_secrets(str(error))) from error
        except McpError as error:
            raise self._failure(name, str(error)) from error
        if result.isError:
            raise self._failure(name, text_in(result))
        return answer_in(result)

    async def _send(self, name: str, arguments: Mapping[str, Any]) -> CallToolResult:
        session = self._session()
        was_open = session.is_open
        try:
            return await session.call(name, arguments)
        except NotSentError:
            if not was_open:
                raise
        return await self._session().call(name, arguments)  # it died while nobody asked it

    def _session(self) -> Session:
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None or session.is_over:
            session = self._sessions[loop] = Session(self._transport)
            session.task.add_done_callback(lambda _: self._forget(loop, session))
        return session

    def _forget(self, loop: asyncio.AbstractEventLoop, session: Session) -> None:
        if self._sessions.get(loop) is session:
            del self._sessions[loop]

    def _failure(self, name: str, said: str) -> ToolFailed:
        known = self._transport.without_secrets(said)[:_LONGEST_FAULT]
        return ToolFailed(f"the tool {name!r} answered with an error: {known or 'it does not say which'}")

    def _cannot_be_asked(self, cause: Exception) -> str:
        said = self._transport.without_secrets(str(cause) or type(cause).__name__).partition("\n")[0]
        return f"{self!r} cannot be asked: {said[:_LONGEST_FAULT]}"
