"""One MCP server, from its start to its end: kept by one task, called from any.

The SDK's connections must be closed by the task that opened them. Promised: a call ends within the
server's seconds, whatever became of it, and so do the start and the end.
"""

import asyncio
import contextlib
import os
import threading
from collections import deque
from typing import Any

from rlm_dspy.errors import ConfigurationError, MCPToolError
from rlm_dspy.mcp_servers import Server

START_SECONDS = 30.0
# A server that is told to end is killed after 6 seconds by the SDK; then nobody waits any more.
_END_SECONDS = 10.0
_LINES_KEPT = 20
_MOST_PAGES = 100


class Connection:
    """One server, from its start to its end.

    Args:
        server: The server.
    """

    def __init__(self, server: Server):
        self.server = server
        self.tools: list[Any] = []
        self._client: Any = None
        self._failure: BaseException | None = None
        self._ready, self._stop = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task | None = None
        self._said = _Tail() if server.command else None

    async def open(self) -> None:
        """Starts it, and asks what tools it has.

        Raises:
            ConfigurationError: It does not start, does not answer, or lacks a tool that is allowed.
        """
        self._task = asyncio.get_running_loop().create_task(self._keep())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ready.wait(), START_SECONDS)
        if self._client is None:
            raise self._unstarted()
        missing = sorted((self.server.allowed or set()) - {tool.name for tool in self.tools})
        if missing:
            has = sorted(tool.name for tool in self.tools)
            raise ConfigurationError(
                f"The MCP server {self.server.name!r} has no tools {missing}, which allowedTools "
                f"names; it has {has}.",
                server=self.server.name,
            )

    async def close(self) -> None:
        """Ends it; never raises, and never waits for long."""
        self._stop.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_END_SECONDS)
            self._task.cancel()
        if self._said is not None:
            self._said.close()

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """Calls a tool.

        Raises:
            MCPToolError: The tool failed, took too long, or its server is gone.
        """
        if self._client is None or self._stop.is_set():
            raise self._failed(name, "its server is not running")
        # Not `wait_for`: it would wait for the end of a call that does not end when cancelled.
        call = asyncio.ensure_future(self._client.call_tool(name, arguments))
        try:
            await asyncio.wait({call}, timeout=self.server.seconds)
        finally:
            if not call.done():
                call.cancel()
                call.add_done_callback(_forget)
        if not call.done():
            raise self._failed(name, f"took longer than {self.server.seconds:g} seconds")
        if (error := call.exception()) is not None:
            raise self._failed(name, _reason(error))
        said = self.server.without_secrets(_value(call.result()))
        if call.result().is_error:
            raise self._failed(name, str(said))
        return said

    async def _keep(self) -> None:
        try:
            async with contextlib.AsyncExitStack() as stack:
                client = await _connected(self.server, self._said, stack)
                self.tools = await _listed(client)
                self._client = client
                self._ready.set()
                await self._stop.wait()
        except Exception as error:  # noqa: BLE001 - whatever ends a server is told, never raised here
            self._failure = error
        finally:
            self._client = None
            self._ready.set()

    def _unstarted(self) -> ConfigurationError:
        why = "does not answer" if self._failure is None else _reason(self._failure)
        said = self._said.last if self._said else ""
        told = f"{why}; it said: {said}" if said else why
        return ConfigurationError(
            f"The MCP server {self.server.name!r} does not start "
            f"({self.server.without_secrets(told)}). Check its entry in the configuration.",
            server=self.server.name,
        )

    def _failed(self, name: str, why: str) -> MCPToolError:
        text = self.server.without_secrets(why)
        return MCPToolError(f"{name} of the MCP server {self.server.name!r}: {text}", tool=name)


async def _connected(server: Server, said: "_Tail | None", stack: Any) -> Any:
    try:
        import httpx2
        from mcp import Client, StdioServerParameters, stdio_client
        from mcp.client.streamable_http import streamable_http_client
    except ImportError as error:
        raise ConfigurationError(
            "Tools of MCP servers need the package mcp: pip install 'rlm-dspy-runtime[serve]'."
        ) from error
    if said is not None:
        started = StdioServerParameters(
            command=server.command,
            args=list(server.args),
            env=dict(server.env),
            cwd=server.cwd,
            encoding_error_handler="replace",
        )
        return await stack.enter_async_context(Client(stdio_client(started, said.stream)))
    # A response may be streamed for as long as a call may take.
    timeout = httpx2.Timeout(START_SECONDS, read=max(server.seconds, START_SECONDS))
    http = httpx2.AsyncClient(headers=dict(server.headers), timeout=timeout)
    await stack.enter_async_context(http)
    transport = streamable_http_client(server.url, http_client=http)
    return await stack.enter_async_context(Client(transport))


async def _listed(client: Any) -> list[Any]:
    tools, cursor = [], None
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            break
    return tools


def _value(result: Any) -> Any:
    """What a call gave, as plain data: its structured content, else its text."""
    structured = result.structured_content
    if structured is not None and not result.is_error:
        # How servers wrap what is not an object: a list, a number, a text.
        alone = isinstance(structured, dict) and list(structured) == ["result"]
        return structured["result"] if alone else structured
    return "\n".join(map(_text, result.content))


def _text(content: Any) -> str:
    text = getattr(content, "text", None) or getattr(getattr(content, "resource", None), "text", "")
    if text:
        return text
    mime = getattr(content, "mime_type", None)
    return f"[{content.type}{f' {mime}' if mime else ''}, not shown]"


def _reason(error: BaseException) -> str:
    """What went wrong; of several errors at once, what did first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _forget(task: asyncio.Future) -> None:
    if not task.cancelled():
        task.exception()  # read, so that it is not reported as never retrieved


class _Tail:
    """Where a server writes its log: the last lines are kept, the rest is forgotten."""

    def __init__(self):
        inner, outer = os.pipe()
        self.stream = os.fdopen(outer, "w")
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._reader = os.fdopen(inner, errors="replace")
        threading.Thread(target=self._read, name="rlm-mcp-log", daemon=True).start()

    @property
    def last(self) -> str:
        """The last line that says something."""
        return next((line.strip() for line in reversed(self._lines) if line.strip()), "")

    def close(self) -> None:
        """Ends the reading, once the server has ended too."""
        self.stream.close()

    def _read(self) -> None:
        with self._reader:
            self._lines.extend(self._reader)
