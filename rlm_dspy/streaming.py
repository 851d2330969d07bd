"""A run as it happens, on the loop of who reads it: `RLM.stream`, and `dspy.streamify`.

The run lives on a loop of its own, and a stream of dspy's belongs to another one: waiting for it
from the run's loop hangs. So a `Relay` takes each item at once, and a task on the reader's loop
hands it on. Promised: the run never waits for its reader; what was streamed arrives before the
run's result; a reader that leaves ends the run.
"""

import asyncio
import contextlib
import contextvars
import copy
import functools
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from typing import Any

import dspy
from dspy.streaming.messages import StatusMessage, StatusStreamingCallback
from dspy.utils.callback import BaseCallback
from dspy.utils.lazy_import import require

from rlm_dspy.events import Event
from rlm_dspy.loop import running_loop
from rlm_dspy.marking import MarkedReply

anyio = require("anyio")

_END = object()
# How often it is looked whether anybody still reads, seconds.
_LOOK_SECONDS = 0.5
# How often it is looked whether all was read, seconds.
_DRAIN_SECONDS = 0.005


def streamed(start: Callable[..., Any]) -> AsyncGenerator[Event | dspy.Prediction, None]:
    """The events of a run as they happen, and last its result.

    Args:
        start: Starts the run, given `listeners`, and returns its handle.

    Returns:
        The events and the result; the run starts when the first one is asked for, with the settings
        of now.
    """
    return _events(functools.partial(contextvars.copy_context().run, start))


async def _events(start: Callable[..., Any]) -> AsyncGenerator[Event | dspy.Prediction, None]:
    loop, items = asyncio.get_running_loop(), asyncio.Queue()

    def listen(event: Event) -> None:
        with contextlib.suppress(RuntimeError):  # the reader's loop is closed
            loop.call_soon_threadsafe(items.put_nowait, event)

    handle = start(listeners=(listen,))
    ended = asyncio.ensure_future(handle.wait())
    ended.add_done_callback(items.put_nowait)  # behind all events
    try:
        while (item := await items.get()) is not ended:
            yield item
        yield ended.result()
    finally:
        if not ended.done():
            handle.cancel()
            await asyncio.wait({ended})
        if not ended.cancelled():
            ended.exception()  # read, so that it is not reported as never retrieved


class Relay:
    """Stands in for a dspy stream where another loop than the reader's sends to it.

    Args:
        stream: The stream.
        loop: The loop of who reads it.
        marked: The predictors whose lean replies are given markers, by `id`.
    """

    def __init__(self, stream: Any, loop: asyncio.AbstractEventLoop, marked: dict[int, Any]):
        self._stream = stream
        self._loop = loop
        self._marked = marked
        self._replies: dict[Any, MarkedReply] = {}
        self._items: asyncio.Queue = asyncio.Queue()
        self._closing = False
        self._pump = asyncio.run_coroutine_threadsafe(self._hand_on(), loop)

    async def send(self, item: Any) -> None:
        """Takes an item; never waits."""
        self.put(item)

    def put(self, item: Any) -> None:
        """Takes an item, in any thread."""
        with contextlib.suppress(RuntimeError):  # the reader's loop is closed
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)

    def on_left(self, do: Callable[[], object]) -> None:
        """Calls `do`, in the reader's thread, once nobody reads any more before the end."""
        self._pump.add_done_callback(lambda _: None if self._closing else do())

    async def flush(self) -> None:
        """Waits until all was read, unless nobody reads."""
        self._closing = True
        self.put(_END)
        pump = asyncio.wrap_future(self._pump)
        while not pump.done() and self._loop.is_running():
            await asyncio.wait({pump}, timeout=_LOOK_SECONDS)
        if pump.done() and not pump.cancelled() and (error := pump.exception()):
            raise error

    def drop(self) -> None:
        """Hands nothing on any more."""
        self._closing = True
        self._pump.cancel()

    async def _hand_on(self) -> None:
        """On the reader's loop: sends what comes in, until the end or until nobody reads."""
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            while (item := await self._next()) is not _END:
                for each in self._with_markers(item):
                    await self._stream.send(each)
            # dspy's status callbacks block this loop where the stream is full: for ever, then.
            while self._stream.statistics().current_buffer_used and self._is_read():
                await asyncio.sleep(_DRAIN_SECONDS)

    async def _next(self) -> Any:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    return await self._items.get()
            if not self._is_read():
                raise anyio.BrokenResourceError

    def _is_read(self) -> bool:
        return self._stream.statistics().open_receive_streams > 0

    def _with_markers(self, item: Any) -> Iterator[Any]:
        predictor = self._marked.get(getattr(item, "predict_id", None))
        if predictor is None or not item.choices:
            yield item
            return
        key, choice = (item.predict_id, item.id), item.choices[0]
        reply = self._replies.setdefault(key, MarkedReply(predictor.signature))
        for text in reply.take(choice.delta.content or ""):
            yield _saying(item, text)
        if choice.finish_reason:
            for text in self._replies.pop(key).end():
                yield _saying(item, text)
            yield _saying(item, None)


def _saying(chunk: Any, text: str | None) -> Any:
    said = copy.deepcopy(chunk)
    said.choices[0].delta["content"] = text
    return said


class _Statuses(BaseCallback):
    """Sends status messages to a relay; dspy's own callback starts a thread and waits for each."""

    def __init__(self, provider: Any, relay: Relay):
        self._provider = provider
        self._relay = relay

    def _say(self, message: str | None) -> None:
        if message:
            self._relay.put(StatusMessage(message))

    def on_tool_start(self, call_id, instance, inputs):
        if instance.name != "finish":
            self._say(self._provider.tool_start_status_message(instance, inputs))

    def on_tool_end(self, call_id, outputs, exception=None):
        if outputs != "Completed.":
            self._say(self._provider.tool_end_status_message(outputs))

    def on_lm_start(self, call_id, instance, inputs):
        self._say(self._provider.lm_start_status_message(instance, inputs))

    def on_lm_end(self, call_id, outputs, exception=None):
        self._say(self._provider.lm_end_status_message(outputs))

    def on_module_start(self, call_id, instance, inputs):
        self._say(self._provider.module_start_status_message(instance, inputs))

    def on_module_end(self, call_id, outputs, exception=None):
        self._say(self._provider.module_end_status_message(outputs))


def relayed(run: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
    """A run whose streams go to the loop of who reads them; called in the caller's thread.

    Args:
        run: The run, for another loop.

    Returns:
        The run to start in its place; where the caller does not stream, the same.
    """
    stream = dspy.settings.send_stream
    if stream is None or isinstance(stream, Relay):
        return run
    loop = _reading_loop()
    if loop is None:
        return _unstreamed(run)
    marked = {}
    if dspy.settings.adapter is None:  # a lean reply, then
        listeners = dspy.settings.stream_listeners or ()
        marked = {id(listener.predict): listener.predict for listener in listeners}
    return _relayed(run, Relay(stream, loop, marked))


def blocking(start: Callable[[], Any]) -> Callable[[], Any]:
    """`start` for a caller who will block until the run ends.

    On an event loop's own thread nobody can read meanwhile: there the run streams nothing.
    """
    if running_loop() is None:
        return start

    def unstreamed() -> Any:
        with dspy.context(send_stream=None):
            return start()

    return unstreamed


def _reading_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that dspy's stream is read on; None where that cannot be known."""
    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop()
    with contextlib.suppress(RuntimeError):  # the thread that `streamify` runs a program in
        return anyio.from_thread.run_sync(asyncio.get_running_loop)
    return None


async def _unstreamed(run: Coroutine[Any, Any, Any]) -> Any:
    with dspy.context(send_stream=None):
        return await run


async def _relayed(run: Coroutine[Any, Any, Any], relay: Relay) -> Any:
    callbacks = [
        _Statuses(each.status_message_provider, relay)
        if type(each) is StatusStreamingCallback
        else each
        for each in dspy.settings.callbacks
    ]
    ours, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    relay.on_left(lambda: ours.call_soon_threadsafe(task.cancel))
    try:
        with dspy.context(send_stream=relay, callbacks=callbacks):
            return await run
    except asyncio.CancelledError:
        relay.drop()
        raise
    finally:
        await relay.flush()
