"""`MCPTools`: the tools of MCP servers as `dspy.Tool`s, while a `with` block lasts.

Calls may come from any thread and any loop. Promised: a call ends within its seconds, whatever
became of the server, with the tool's result or an `MCPToolError`; a server that cannot be started
is a `ConfigurationError` before anything is spent; what is a secret in the configuration stands in
no result, no description and no error. Not promised: that a server that died is started again.
"""

import asyncio
import builtins
import inspect
import keyword
import re
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import dspy
from dspy.adapters.types.tool import convert_input_schema_to_tool_args

from rlm_dspy.loop import Handle
from rlm_dspy.mcp_connection import Connection
from rlm_dspy.mcp_servers import servers_of
from rlm_dspy.signatures import DSPY_PREFIXES, RESERVED_NAMES

# What a tool would hide from the planner's code under its own name.
_TAKEN = RESERVED_NAMES | frozenset(dir(builtins)) | frozenset({"context", "query"})


class MCPTools:
    """The tools of MCP servers, for `RLM(tools=…)`.

    `with` and `async with` start the servers and give the list of tools.

    Args:
        configuration: The usual `{"mcpServers": {…}}`, or the path of a JSON file with it.
            A server has `command`, `args`, `env` and `cwd`, or `url` and `headers`, in which
            `${NAME}` stands for a variable of the environment; `allowedTools` for those that may be
            called, and `timeoutSeconds` for how long a call may take.

    Raises:
        ConfigurationError: The configuration is not of this form, or a variable is not set.

    Example:
        >>> MCPTools({"mcpServers": {"a": {"command": "true", "disabled": True}}}).servers
        []
    """

    def __init__(self, configuration: Mapping[str, Any] | str | Path):
        self._servers = servers_of(configuration)
        self._connections: list[Connection] = []

    @property
    def servers(self) -> list[str]:
        """The names of the servers."""
        return [server.name for server in self._servers]

    @property
    def urls(self) -> dict[str, str]:
        """The addresses of the servers that are not started here, by name."""
        return {server.name: server.url for server in self._servers if server.url}

    def __enter__(self) -> list[dspy.Tool]:
        return Handle(self._open()).result()

    def __exit__(self, *_: object) -> None:
        Handle(self._close()).result()

    async def __aenter__(self) -> list[dspy.Tool]:
        return await Handle(self._open()).wait()

    async def __aexit__(self, *_: object) -> None:
        await Handle(self._close()).wait()

    async def _open(self) -> list[dspy.Tool]:
        self._connections = [Connection(server) for server in self._servers]
        try:
            await asyncio.gather(*(kept.open() for kept in self._connections))
        except BaseException:
            await self._close()
            raise
        return _as_tools(self._connections)

    async def _close(self) -> None:
        kept, self._connections = self._connections, []
        await asyncio.gather(*(each.close() for each in kept))


def _as_tools(kept: list[Connection]) -> list[dspy.Tool]:
    """The tools under the names that code calls them by: a name that two have is prefixed."""
    offered = [
        (each, tool)
        for each in kept
        for tool in each.tools
        if each.server.allowed is None or tool.name in each.server.allowed
    ]
    counts = Counter(_identifier(tool.name) for _, tool in offered)
    counts.update(_TAKEN)
    named: dict[str, dspy.Tool] = {}
    for each, tool in offered:
        name = _identifier(tool.name)
        if counts[name] > 1 or name in _TAKEN or name.startswith(DSPY_PREFIXES):
            name = _identifier(f"{each.server.name}_{tool.name}")
        free, number = name, 2
        while free in named:
            free, number = f"{name}_{number}", number + 1
        named[free] = _tool(each, tool, free)
    return list(named.values())


def _identifier(name: str) -> str:
    """A name as code in the REPL may write it: an underscore in front is refused there."""
    word = re.sub(r"\W", "_", name).strip("_")
    return f"tool_{word}" if not word or word[0].isdigit() or keyword.iskeyword(word) else word


def _tool(kept: Connection, tool: Any, name: str) -> dspy.Tool:
    schema = kept.server.without_secrets(tool.input_schema or {})
    args, types, said = convert_input_schema_to_tool_args(schema)
    desc = " ".join(kept.server.without_secrets(tool.description or "").split())
    call = _function(kept, tool.name, name, list(args), set(schema.get("required", ())))
    return dspy.Tool(call, name=name, desc=desc, args=args, arg_types=types, arg_desc=said)


def _function(
    kept: Connection, tool: str, name: str, arguments: list[str], required: set[str]
) -> Callable[..., Coroutine[Any, Any, Any]]:
    """What the tool is to Python: takes arguments by place, those required first, or by name."""

    async def call(**given: Any) -> Any:
        return await Handle(kept.call(tool, given)).wait()

    kind, leave_out = inspect.Parameter.POSITIONAL_OR_KEYWORD, None
    fit = [each for each in arguments if each.isidentifier() and not keyword.iskeyword(each)]
    parameters = [inspect.Parameter(n, kind) for n in fit if n in required]
    parameters += [inspect.Parameter(n, kind, default=leave_out) for n in fit if n not in required]
    if len(fit) < len(arguments):  # others are given as **{"max-size": 3}
        parameters.append(inspect.Parameter("_others", inspect.Parameter.VAR_KEYWORD))
    call.__name__ = name
    call.__dict__["__signature__"] = inspect.Signature(parameters)
    return call
