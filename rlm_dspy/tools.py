"""The user's tools, as `dspy.Tool`s by name and as what the REPL calls."""

import functools
import inspect
import keyword
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import dspy

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.signatures import RESERVED_NAMES


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
    if name in RESERVED_NAMES or name.startswith("_dspy"):
        raise ConfigurationError(f"Tool name '{name}' conflicts with built-in sandbox function.")
    if name in named:
        raise ConfigurationError(f"Duplicate tool name '{name}'.")
    if name in outer.input_fields:
        raise ConfigurationError(f"Input fields conflict with user tools: {[name]}.")


def callable_of(tool: dspy.Tool) -> Callable[..., Any]:
    """What the REPL calls: takes positional arguments too, and checks them as `dspy.Tool` does."""
    function = tool.func
    parameters = inspect.signature(function)

    def named(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        bound = parameters.bind(*args, **kwargs).arguments
        for name, parameter in parameters.parameters.items():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                bound |= bound.pop(name, {})
        return bound

    if _is_async(function):

        @functools.wraps(function)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            return await tool.acall(**named(args, kwargs))

        return call_async

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return tool(**named(args, kwargs))

    return call


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object with an asynchronous __call__
    )
