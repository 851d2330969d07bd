"""The user's LM with every attempt metered, whichever adapter or predictor makes it.

A predictor call can be two LM calls (an adapter's fallback), and dspy's callbacks cannot refuse
one, so the meter sits on the LM: a twin that shares all of the LM's state, history included, but
whose `acall` passes through a gate and whose `num_retries` is 0, since the gate retries. The twin
is an instance of the LM's own class, so dspy treats it as that LM.
"""

import asyncio
import contextvars
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import dspy
from dspy.clients.base_lm import BaseLM
from dspy.utils.usage_tracker import UsageTracker

from rlm_dspy.budget import Usage


@dataclass(frozen=True)
class Attempt:
    """One request that is about to go to a model.

    Args:
        lm: The user's LM.
        role: The predictor that asks.
        messages: The chat messages.
        kwargs: The request's own parameters; they win over the LM's.
    """

    lm: BaseLM
    role: str
    messages: list[dict[str, Any]]
    kwargs: dict[str, Any] = field(default_factory=dict)

    def parameter(self, *names: str) -> Any:
        """The first of these parameters that the request or its LM sets, else None."""
        settings = getattr(self.lm, "kwargs", {})
        found = (source.get(name) for name in names for source in (self.kwargs, settings))
        return next((value for value in found if value is not None), None)


@dataclass(frozen=True)
class Reply:
    """What an attempt gave.

    Args:
        outputs: What the LM returned, as dspy's adapters take it.
        usage: What it used; None where the LM reported nothing.
        cache_hit: dspy's cache answered.
    """

    outputs: list[Any]
    usage: Usage | None
    cache_hit: bool


Perform = Callable[[dict[str, Any]], Awaitable[Reply]]
Gate = Callable[[Attempt, Perform], Awaitable[Reply]]


class CallUsage(UsageTracker):
    """Tells a cache hit from a call: dspy reports usage for a call only, even if it is empty."""

    def __init__(self):
        super().__init__()
        self.live = False
        self.finished = False

    def add_usage(self, lm: str, usage_entry: dict[str, Any]) -> None:
        """Notes one call's usage."""
        self.live = True
        super().add_usage(lm, usage_entry)

    def usage(self) -> Usage | None:
        """The call's tokens, or None where nothing was reported."""
        totals = list(self.get_total_tokens().values())
        if not totals or all(row.get("prompt_tokens") is None for row in totals):
            return None
        return Usage(
            prompt_tokens=sum(_count(row, "prompt_tokens") for row in totals),
            completion_tokens=sum(_count(row, "completion_tokens") for row in totals),
            cached_tokens=sum(_count(row, "prompt_tokens_details.cached_tokens") for row in totals),
            reasoning_tokens=sum(
                _count(row, "completion_tokens_details.reasoning_tokens") for row in totals
            ),
        )


def _count(row: dict[str, Any], path: str) -> int:
    value: Any = row
    for name in path.split("."):
        value = (value or {}).get(name)
    return int(value or 0)


def metered(lm: BaseLM, role: str, gate: Gate) -> BaseLM:
    """The LM's twin whose every attempt passes through a gate.

    Args:
        lm: The user's LM; nothing on it changes but its history, as by any call.
        role: The predictor that will ask through the twin.
        gate: Called as `gate(attempt, perform)` for each attempt; `perform(more)` makes the request
            with more parameters, as often as the gate likes.

    Returns:
        The twin.
    """
    twin: Any = object.__new__(_twin_class(type(lm)))
    twin.__dict__ = lm.__dict__
    twin._rlm = (lm, role, gate)
    return twin


@functools.cache
def _twin_class(cls: type[BaseLM]) -> type[BaseLM]:
    async def acall(self, prompt=None, *, messages=None, **kwargs):
        lm, role, gate = self._rlm
        given = messages if messages is not None else [{"role": "user", "content": prompt}]

        async def perform(more: dict[str, Any]) -> Reply:
            tracker, parent = CallUsage(), dspy.settings.usage_tracker
            with dspy.context(usage_tracker=tracker):
                outputs = await _call(self, cls, prompt, messages, {**kwargs, **more})
            if parent is not None:
                for name, entries in tracker.usage_data.items():
                    for entry in entries:
                        parent.add_usage(name, entry)
            # An `acall` of the LM's own class may never pass dspy's machinery: then nothing was
            # reported, and nothing came from dspy's cache either.
            hit = not tracker.live and (tracker.finished or not _own_acall(self))
            return Reply(outputs, tracker.usage(), cache_hit=hit)

        return (await gate(Attempt(lm, role, given, kwargs), perform)).outputs

    def update_history(self, entry):
        if isinstance(tracker := dspy.settings.usage_tracker, CallUsage):
            tracker.finished = True
        cls.update_history(self, entry)

    namespace = {
        "__slots__": ("_rlm",),  # beside the shared __dict__
        "__module__": cls.__module__,
        "__doc__": cls.__doc__,
        # A property wins over an `acall` that was set on the LM itself.
        "acall": property(lambda self: functools.partial(acall, self), lambda self, value: None),
        "update_history": update_history,
        # A property wins over the shared __dict__: the gate retries, each attempt reserved.
        "num_retries": property(lambda self: 0, lambda self, value: None),
    }
    return type(cls.__name__, (cls,), namespace)


async def _call(
    twin: Any, cls: type[BaseLM], prompt, messages, kwargs: dict[str, Any]
) -> list[Any]:
    """The LM's own call; in a thread where the LM has no asynchronous side."""
    if "acall" in vars(twin):
        return await vars(twin)["acall"](prompt, messages=messages, **kwargs)
    if is_async(twin):
        return await cls.acall(twin, prompt, messages=messages, **kwargs)
    context = contextvars.copy_context()
    call = functools.partial(cls.__call__, twin, prompt, messages=messages, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(None, context.run, call)


def _own_acall(lm: BaseLM) -> bool:
    """Whether an LM brings an `acall` of its own, by its class or set on itself."""
    return "acall" in vars(lm) or _overrides(lm, "acall")


def is_async(lm: BaseLM) -> bool:
    """Whether an LM can be awaited: dspy's own can, a custom one only with an asynchronous side."""
    if _own_acall(lm):
        return True
    engine = getattr(lm, "_engine_spec", None)
    if engine is None:
        return _overrides(lm, "aforward")
    if _overrides(lm, "forward") and not _overrides(lm, "aforward"):
        return False
    return isinstance(engine, str) or getattr(lm, "_async_engine_spec", None) is not None


def _overrides(lm: BaseLM, method: str) -> bool:
    """Whether a class below dspy's own LM classes defines the method."""
    for cls in type(lm).__mro__:
        if cls.__dict__.get("__slots__") == ("_rlm",):
            continue
        if cls.__module__.startswith("dspy."):
            return False
        if method in cls.__dict__:
            return True
    return False
