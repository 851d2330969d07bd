"""An MCP server for tests: over its standard streams, or with a port as argument over local HTTP.

Each way that a server may fail has a tool: `slow`, `fails`, `dies`, `leaks`.
"""

import os
import sys
import time

from mcp.server import MCPServer

server = MCPServer("made for tests")


@server.tool()
def add(a: int, b: int = 1) -> int:
    """Adds two numbers."""
    return a + b


@server.tool()
def rows(table: str) -> list[dict[str, int]]:
    """The rows of a table."""
    return [{"length": len(table)}, {"length": 2}]


@server.tool(name="list", structured_output=False)
def listed() -> str:
    """What a built-in function has the name of."""
    return "one\ntwo"


@server.tool(name="look-up")
def look_up(word: str) -> str:
    """No name in Python."""
    return f"found {word}"


@server.tool()
def slow(seconds: float) -> str:
    """Takes its time."""
    time.sleep(seconds)
    return "done"


@server.tool()
def fails() -> str:
    """Fails."""
    raise ValueError(f"no luck with {os.environ.get('TOKEN', 'nothing')}")


@server.tool()
def dies() -> str:
    """Takes the server with it."""
    os._exit(3)


@server.tool()
def leaks() -> dict[str, str]:
    """Tells what it should keep to itself."""
    return {"token": os.environ.get("TOKEN", ""), "file": os.environ.get("FOLDER", "")}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    else:
        server.run("stdio")
