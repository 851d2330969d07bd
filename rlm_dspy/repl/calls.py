"""Calls of host functions by model code: run them, and make their outcome a message to the
worker.
"""

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any

from rlm_dspy.repl.answers import ToolCall

ToolTable = Mapping[str, Callable[..., Any]]
_MAX_MESSAGE = 20_000


def outcome_of(call: ToolCall, tools: ToolTable) -> dict[str, Any]:
    """Call a tool in this thread.

    Args:
        call: What the worker asks for.
        tools: The functions it may ask for; asynchronous ones are waited for.

    Returns:
        A "result" message with what the tool returned, as it is, or a "failed" message.

    Raises:
        BaseException: What the tool raised, where that is no `Exception` or its class has
            `ends_step = True`: it is the caller's, not the model's.
    """
    tool = tools.get(call.name)
    if tool is None:
        return failed("NameError", f"there is no tool {call.name!r}")
    try:
        return {"op": "result", "value": settled(tool(*call.args, **call.kwargs))}
    except Exception as error:
        if getattr(type(error), "ends_step", False):
            raise
        return failed(type(error).__name__, str(error))


def failed(kind: str, text: str) -> dict[str, Any]:
    """The message that makes a tool call raise in the worker."""
    return {"op": "failed", "type": kind, "message": text[:_MAX_MESSAGE]}


def settled(value: Any) -> Any:
    """The result of a tool that may be asynchronous: what an awaitable comes to, else itself."""
    if not inspect.isawaitable(value):
        return value

    async def wait() -> Any:
        return await value

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    return _in_a_thread(lambda: asyncio.run(wait()))


def _in_a_thread(work: Callable[[], Any]) -> Any:
    """Run where no event loop runs yet, with the caller's context variables."""
    outcome: list[Any] = []

    def keep() -> None:
        try:
            outcome.extend((True, work()))
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            outcome.extend((False, error))

    thread = threading.Thread(target=contextvars.copy_context().run, args=(keep,), daemon=True)
    thread.start()
    thread.join()
    good, value = outcome
    if good:
        return value
    raise value
