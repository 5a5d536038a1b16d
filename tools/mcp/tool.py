"""A tool of an MCP server as a LangChain tool, and what becomes of the server's answers."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

from langchain_core.tools import BaseTool
from mcp.types import CallToolResult, TextContent
from pydantic import Field

Effect = Literal["read", "idempotent", "once"]


class McpTool(BaseTool):
    """A tool that an MCP server runs; it gives JSON."""

    effect: Effect
    """What the tool does to the world, as declared with its server."""
    coroutine: Callable[[Mapping[str, Any]], Awaitable[Any]] = Field(exclude=True, repr=False)
    """What calls it; named after where the tool stands, so that a definition can name the tool."""

    def _run(self, /, **arguments: Any) -> Any:
        raise NotImplementedError(f"the tool {self.name!r} can only be awaited: use ainvoke")

    async def _arun(self, /, **arguments: Any) -> Any:
        return await self.coroutine(arguments)


def answer_in(result: CallToolResult) -> Any:
    """Give a tool's answer as JSON.

    Returns:
        The structured content where there is some, or what its only key `result` holds; else the text, its blocks
        joined by line breaks; else, where a block is no text, all blocks as the protocol writes them.
    """
    structured = result.structuredContent
    if structured is not None:
        return structured["result"] if set(structured) == {"result"} else structured
    if all(isinstance(block, TextContent) for block in result.content):
        return text_in(result)
    return [block.model_dump(mode="json", by_alias=True, exclude_none=True) for block in result.content]


def text_in(result: CallToolResult) -> str:
    """Give the text of an answer."""
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))
