"""The user's tools, as `dspy.Tool`s by name and as what the REPL calls."""

import asyncio
import contextvars
import functools
import inspect
import itertools
import keyword
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Future
from typing import Any

import dspy

from rlm_dspy.bridges import on_loop
from rlm_dspy.errors import ConfigurationError
from rlm_dspy.loop import run_into
from rlm_dspy.signatures import DSPY_PREFIXES, RESERVED_NAMES


def normalized(
    tools: Iterable[Callable[..., Any] | dspy.Tool] | None, outer: type[dspy.Signature]
) -> dict[str, dspy.Tool]:
    """The tools by name, checked.

    Args:
        tools: Functions, coroutine functions or `dspy.Tool`s.
        outer: The user's signature, whose inputs share the REPL's names with the tools.

    Raises:
        ConfigurationError: A tool cannot be called, or its name is taken or is no name.
    """
    if isinstance(tools, Mapping):
        raise ConfigurationError(
            "tools must be a list, not a dict: write tools=[func], or "
            "dspy.Tool(func, name='custom_name') for another name."
        )
    named: dict[str, dspy.Tool] = {}
    for given in tools or []:
        if not isinstance(given, dspy.Tool) and not callable(given):
            kind = type(given).__name__
            raise ConfigurationError(f"Tool {given!r} must be callable, got {kind}.")
        tool = given if isinstance(given, dspy.Tool) else dspy.Tool(given)
        _check(str(tool.name), named, outer)
        named[str(tool.name)] = tool
    return named


def _check(name: str, named: Mapping[str, Any], outer: type[dspy.Signature]) -> None:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ConfigurationError(
            f"Invalid tool name {name!r}: must be a valid Python identifier and not a keyword."
        )
    if name in RESERVED_NAMES or name.startswith(DSPY_PREFIXES):
        raise ConfigurationError(f"Tool name '{name}' conflicts with built-in sandbox function.")
    if name in named:
        raise ConfigurationError(f"Duplicate tool name '{name}'.")
    if name in outer.input_fields:
        raise ConfigurationError(f"Input fields conflict with user tools: {[name]}.")


def callable_of(
    tool: dspy.Tool,
    seconds: float | Mapping[str, float] | None = None,
    loop: asyncio.AbstractEventLoop | None = None,
) -> Callable[..., Any]:
    """What the REPL calls: takes positional arguments too, and checks them as `dspy.Tool` does.

    Args:
        tool: The tool.
        seconds: How long it may take, or how long each tool may, by name; None for any time. A
            blocking tool is not waited for any longer, but cannot be stopped.
        loop: Where an asynchronous tool runs; None: on the loop that the run lives on.
    """
    limit = seconds.get(str(tool.name)) if isinstance(seconds, Mapping) else seconds
    function = tool.func
    parameters = inspect.signature(function)
    tool = _by_name(tool, parameters)

    def named(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        bound = parameters.bind(*args, **kwargs).arguments
        for name, parameter in parameters.parameters.items():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                bound |= bound.pop(name, {})
        return bound

    if _is_async(function):

        @functools.wraps(function)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            work = tool.acall(**named(args, kwargs))
            return await _awaited(tool, work if loop is None else on_loop(loop, work), limit)

        return call_async

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return _called(tool, named(args, kwargs), limit)

    return call


def _by_name(tool: dspy.Tool, parameters: inspect.Signature) -> dspy.Tool:
    """A tool all of whose arguments can be given by name, as `dspy.Tool` gives them.

    Args:
        tool: The tool.
        parameters: What its function takes, perhaps some of it by position alone.
    """
    function, kinds = tool.func, {n: p.kind for n, p in parameters.parameters.items()}
    alone = [n for n, kind in kinds.items() if kind is inspect.Parameter.POSITIONAL_ONLY]
    several = [n for n, kind in kinds.items() if kind is inspect.Parameter.VAR_POSITIONAL]
    if not alone and not several:
        return tool
    before = list(itertools.takewhile(lambda name: name not in several, kinds))

    def spread(**given: Any) -> Any:
        more = [item for name in several for item in given.pop(name, ())]
        first = [given.pop(name) for name in (before if more else alone) if name in given]
        return function(*first, *more, **given)

    # What is said of each of several is not so of all together.
    args = {**(tool.args or {}), **{name: {} for name in several}}
    types = {**(tool.arg_types or {}), **dict.fromkeys(several, Any)}
    return tool.model_copy(update={"func": spread, "args": args, "arg_types": types})


async def _awaited(tool: dspy.Tool, work: Coroutine[Any, Any, Any], limit: float | None) -> Any:
    clock = asyncio.timeout(limit)
    try:
        async with clock:
            return await work
    except TimeoutError as error:
        if not clock.expired():  # the tool's own
            raise
        raise _too_slow(tool, limit) from error


def _called(tool: dspy.Tool, inputs: dict[str, Any], limit: float | None) -> Any:
    if limit is None:
        return tool(**inputs)
    running: Future[Any] = Future()
    inside, work = contextvars.copy_context().run, functools.partial(tool, **inputs)
    threading.Thread(target=run_into, args=(running, inside, work), daemon=True).start()
    try:
        return running.result(limit)
    except TimeoutError as error:
        if running.done():  # the tool's own
            raise
        raise _too_slow(tool, limit) from error


def _too_slow(tool: dspy.Tool, limit: float | None) -> TimeoutError:
    return TimeoutError(f"{tool.name} took longer than {limit:g} seconds")


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object with an asynchronous __call__
    )
