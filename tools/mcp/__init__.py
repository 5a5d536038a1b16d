"""Tools of MCP servers, each with its effect declared."""

from engine import ConfigurationError

try:
    from tools.mcp.server import McpServer
    from tools.mcp.tool import McpTool
except ModuleNotFoundError as error:
    raise ConfigurationError(f"tools of MCP servers need {error.name}: install flowledger[mcp]") from error

__all__ = ["McpServer", "McpTool"]
