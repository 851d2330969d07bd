"""The user's LM with every attempt metered, whichever adapter or predictor makes it.

A predictor call can be two LM calls (an adapter's fallback), and dspy's callbacks cannot refuse
one, so the meter sits on the LM: a twin that shares all of the LM's state, history included, but
whose `acall` passes through a gate and whose `num_retries` is 0, since the gate retries. The twin
is an instance of the LM's own class, so dspy treats it as that LM.

Promised: what is answered `from_cache` was not asked of any model; a blocking call from another
thread is an attempt as well, on the loop, until the call of the predictor that it belongs to ends.
"""

import asyncio
import contextvars
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import dspy
from dspy.clients.base_lm import BaseLM
from dspy.clients.execution import IGNORED_CACHE_KEYS, _cached, finalize, prepare
from dspy.utils.callback import with_callbacks
from dspy.utils.exceptions import LMServerError

from rlm_dspy.bridges import Bridge
from rlm_dspy.exchange import Exchange
from rlm_dspy.loop import running_loop
from rlm_dspy.models.batch_request import BatchRequest, batch_request
from rlm_dspy.models.tally import CallUsage, Tally

# The parameters that change what a model answers, beside the prompt.
_TELLING = ("temperature", "top_p", "seed", "n", "rollout_id")


@dataclass(frozen=True)
class Reply:
    """What an attempt gave.

    Args:
        outputs: What the LM returned, as dspy's adapters take it.
        cache_hit: dspy's cache answered.
    """

    outputs: list[Any]
    cache_hit: bool


@dataclass(frozen=True)
class Attempt:
    """One request that is about to go to a model.

    Args:
        lm: The user's LM.
        role: The predictor that asks.
        messages: The chat messages.
        kwargs: The request's own parameters; they win over the LM's.
        perform: `perform(more, tally)` makes the request with more parameters, as often as wanted,
            and notes in the tally what it used.
        cached: `cached(more)` looks for the request in dspy's cache.
        batched: `batched(more)` is the request as a batch carries it; None where none can.
        exchange: The request as a record keeps it; None where nobody keeps one.
        request: What tells it from others; empty where nobody asks.
    """

    lm: BaseLM
    role: str
    messages: list[dict[str, Any]]
    kwargs: dict[str, Any]
    perform: "Callable[[dict[str, Any], Tally], Awaitable[Reply]]"
    cached: "Callable[[dict[str, Any]], Cached | None]"
    batched: Callable[[dict[str, Any]], BatchRequest | None] = lambda more: None
    exchange: Exchange | None = None
    request: str = ""

    def noted(self) -> "Attempt":
        """The same with its request as a record keeps it."""
        exchange = Exchange.of(self.messages, alone=self.role != "plan")
        own, set_on_lm = self.kwargs, getattr(self.lm, "kwargs", {})
        settings = [own.get(name, set_on_lm.get(name)) for name in _TELLING]
        request = exchange.request(self.role, str(self.lm.model), settings)
        return replace(self, exchange=exchange, request=request)

    def parameter(self, *names: str) -> Any:
        """The first of these parameters that the request or its LM sets, else None."""
        settings = getattr(self.lm, "kwargs", {})
        found = (source.get(name) for name in names for source in (self.kwargs, settings))
        return next((value for value in found if value is not None), None)


Gate = Callable[[Attempt], Awaitable[Reply]]


@dataclass(frozen=True)
class Cached:
    """A request that dspy's cache may answer.

    Args:
        key: The cache's key.
        ask: Asks the cache alone.
    """

    key: str
    ask: Callable[[], Awaitable[list[Any] | None]]

    async def answer(self) -> Reply | None:
        """The cache's answer; None where it has none."""
        if self.key not in dspy.cache:
            return None
        outputs = await self.ask()
        return Reply(outputs, cache_hit=True) if outputs else None


def metered(
    lm: BaseLM,
    role: str,
    gate: Gate,
    *,
    remembered: bool = True,
    bridge: Bridge | None = None,
) -> BaseLM:
    """The LM's twin whose every attempt passes through a gate.

    Args:
        lm: The user's LM; nothing on it changes but its history, as by any call.
        role: The predictor that will ask through the twin.
        gate: Called with each attempt; it makes the request, as often as it likes.
        remembered: Whether calls enter dspy's history.
        bridge: To the gate's loop, for code in threads; None: none asks there.

    Returns:
        The twin.
    """
    twin: Any = object.__new__(_twin_class(type(lm)))
    twin.__dict__ = lm.__dict__
    twin._rlm = (lm, role, gate, remembered, bridge)
    return twin


@functools.cache
def _twin_class(cls: type[BaseLM]) -> type[BaseLM]:
    async def acall(self, prompt=None, *, messages=None, **kwargs):
        lm, role, gate, remembered, bridge = self._rlm
        given = messages if messages is not None else [{"role": "user", "content": prompt}]

        async def perform(more: dict[str, Any], tally: Tally) -> Reply:
            tracker = CallUsage(remembered=remembered)
            ask = functools.partial(_call, self, cls, prompt, messages)
            with tracker.tracking(tally):
                outputs = await _asked(ask, {**kwargs, **more}, tracker)
            _require_choice(outputs, str(lm.model))
            # An `acall` of the LM's own class may never pass dspy's machinery: then nothing was
            # reported, and nothing came from dspy's cache either.
            hit = not tracker.live and (tracker.finished or not _own_acall(self))
            return Reply(outputs, cache_hit=hit)

        def cached(more: dict[str, Any]) -> Cached | None:
            return _cached_request(self, prompt, messages, {**kwargs, **more})

        def batched(more: dict[str, Any]) -> BatchRequest | None:
            if _own_acall(self):
                return None
            kwargs_now = {**kwargs, **more}
            return batch_request(self, prompt, messages, kwargs_now, remembered=remembered)

        work = gate(Attempt(lm, role, given, kwargs, perform, cached, batched))
        return (await (work if bridge is None else bridge.reach(work))).outputs

    @with_callbacks
    async def from_cache(self, prompt=None, *, messages=None, **kwargs):
        call = prepare(self, prompt, messages, kwargs, asynchronous=is_async(self))
        result = _cached(self, call, is_async(self))
        if result is None:
            return None
        with CallUsage(remembered=self._rlm[3]).tracking(Tally()):
            return finalize(self, call, result)

    def update_history(self, entry):
        tracker = dspy.settings.usage_tracker
        if not isinstance(tracker, CallUsage) or tracker.finish(entry):
            cls.update_history(self, entry)

    namespace = {
        "__slots__": ("_rlm",),  # beside the shared __dict__
        "__module__": cls.__module__,
        "__doc__": cls.__doc__,
        # A property wins over an `acall` that was set on the LM itself.
        "acall": property(lambda self: functools.partial(acall, self), lambda self, value: None),
        "__call__": _blocking_call(cls),
        "copy": _copied,
        "from_cache": from_cache,
        "update_history": update_history,
        # A property wins over the shared __dict__: the gate retries, each attempt reserved.
        "num_retries": property(lambda self: 0, lambda self, value: None),
    }
    return type(cls.__name__, (cls,), namespace)


def _cached_request(twin: Any, prompt, messages, kwargs: dict[str, Any]) -> Cached | None:
    """The request as the cache knows it; None where it is not for the cache.

    An LM with an `acall` of its own may do anything before it looks into the cache.
    """
    if _own_acall(twin) or not getattr(twin, "cache", False) or kwargs.get("cache") is False:
        return None
    try:
        call = prepare(twin, prompt, messages, kwargs, asynchronous=is_async(twin))
        if not call.cache:
            return None
        key = dspy.cache.cache_key(call.key(twin, is_async(twin)), IGNORED_CACHE_KEYS)
    except Exception:  # noqa: BLE001 - what is wrong with a request is said by the call itself
        return None
    return Cached(key, functools.partial(twin.from_cache, prompt, messages=messages, **kwargs))


async def _asked(
    ask: Callable[[dict[str, Any]], Awaitable[list[Any]]],
    request: dict[str, Any],
    tracker: CallUsage,
) -> list[Any]:
    """What a request is answered; dspy's cache keeps answers without a choice, which are none."""
    outputs = await ask(request)
    if outputs or tracker.live or not tracker.finished:
        return outputs
    return await ask({**request, "cache": False})


async def _call(
    twin: Any, cls: type[BaseLM], prompt, messages, kwargs: dict[str, Any]
) -> list[Any]:
    """The LM's own call; in a thread where the LM has no asynchronous side."""
    if "acall" in vars(twin):
        return await vars(twin)["acall"](prompt, messages=messages, **kwargs)
    if is_async(twin):
        return await cls.acall(twin, prompt, messages=messages, **kwargs)
    with dspy.context(send_stream=None):  # dspy streams from anyio's own threads only
        context = contextvars.copy_context()
    call = functools.partial(cls.__call__, twin, prompt, messages=messages, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(None, context.run, call)


def _require_choice(outputs: list[Any], model: str) -> None:
    """Refuses a reply that holds no answer: dspy makes predictions without outputs of it."""
    if not outputs:
        raise LMServerError(f"{model} answered without a choice", model=model)


def _blocking_call(cls: type[BaseLM]) -> Callable[..., list[Any]]:
    """The `__call__` of a twin: in a thread, an attempt on the loop that waits for the thread."""

    def call(self, prompt=None, *, messages=None, **kwargs):
        bridge = self._rlm[4]
        if bridge is None or running_loop() is not None:
            return cls.__call__(self, prompt, messages=messages, **kwargs)
        return bridge.call(self.acall(prompt, messages=messages, **kwargs))

    return call


def _copied(twin: Any, **changes: Any) -> BaseLM:
    """`BaseLM.copy`: the twin of a copy of the user's LM."""
    lm, role, gate, remembered, bridge = twin._rlm
    return metered(lm.copy(**changes), role, gate, remembered=remembered, bridge=bridge)


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
