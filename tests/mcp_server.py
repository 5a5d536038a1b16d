"""A small MCP server for tests: it keeps notes in a file, fails, dies and hangs when asked to."""

import asyncio
import os
import sys
from pathlib import Path

from mcp.server.fastmcp import FastMCP
from mcp.types import ImageContent, TextContent

server = FastMCP("notes", log_level="WARNING")
NOTES = Path(os.environ.get("NOTES", "notes.txt"))


@server.tool()
def write_note(text: str) -> str:
    """Write a note down."""
    with NOTES.open("a") as notes:
        notes.write(f"{text}\n")
    return f"noted {text}"


@server.tool()
def list_notes() -> list[str]:
    """List all notes."""
    return NOTES.read_text().splitlines() if NOTES.exists() else []


@server.tool(name="count-letters")
def count_letters(text: str, twice: bool = False) -> dict[str, int]:
    """Count letters."""
    return {"letters": len(text) * (2 if twice else 1)}


@server.tool(structured_output=False)
def show(with_picture: bool) -> list[TextContent | ImageContent]:
    """Show something."""
    picture = ImageContent(type="image", data="AAAA", mimeType="image/png")
    return [TextContent(type="text", text="one"), picture if with_picture else TextContent(type="text", text="two")]


@server.tool()
def show_environment() -> list[str]:
    """List the names of the environment's variables."""
    return sorted(os.environ)


@server.tool()
def fail(config: str) -> str:
    """Fail, and give a secret away."""
    raise ValueError(f"{config}: the key {os.environ['API_KEY']} is not accepted {'.' * 2_000}")


@server.tool()
def die() -> str:
    """Die in the middle of the call."""
    print("out of memory", file=sys.stderr, flush=True)
    os._exit(1)


@server.tool()
def tell_process() -> int:
    """Tell the number of the process that answers."""
    return os.getpid()


@server.tool()
async def hang() -> str:
    """Never answer."""
    return await asyncio.Future[str]()


if __name__ == "__main__":
    server.run()
