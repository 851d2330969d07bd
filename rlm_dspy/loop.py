"""The one event loop that every run lives on.

`forward` and `aforward` hand their coroutine to one private loop in a background thread: HTTP
connections stay warm, notebooks and nested loops work, and eight threads share one scheduler. It is
started at first use, forgotten after a fork, and needs no shutting down: all of its threads are
daemons of our own making, since `concurrent.futures` refuses new work as soon as the interpreter
begins to exit, while a run may still be alive.

What code of the user's raises ends the run that called it, and no other: a `SystemExit` too, which
asyncio raises out of the loop besides.
"""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import os
import queue
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from rlm_dspy.errors import ConfigurationError

T = TypeVar("T")

_IDLE_SECONDS = 10.0


class ElasticExecutor(concurrent.futures.ThreadPoolExecutor):
    """An executor that starts a daemon thread whenever none is idle.

    A tool that calls another `RLM` blocks its thread until that run ends, which needs threads
    itself: any fixed pool starves (20 of 20 stuck with the default one).
    """

    def __init__(self):
        super().__init__(max_workers=1)
        self._jobs: queue.SimpleQueue = queue.SimpleQueue()
        self._idle = 0
        self._guard = threading.Lock()

    def submit(
        self, fn: Callable[..., T], /, *args: Any, **kwargs: Any
    ) -> concurrent.futures.Future:
        """Runs `fn` in an idle thread, or in a new one."""
        future: concurrent.futures.Future = concurrent.futures.Future()
        with self._guard:
            spawn = self._idle == 0
            if not spawn:
                self._idle -= 1
        self._jobs.put((future, fn, args, kwargs))
        if spawn:
            threading.Thread(target=self._work, name="rlm-worker", daemon=True).start()
        return future

    def _work(self) -> None:
        while True:
            try:
                future, fn, args, kwargs = self._jobs.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                with self._guard:
                    if self._idle == 0:  # a job was just promised to this thread
                        continue
                    self._idle -= 1
                return
            run_into(future, fn, *args, **kwargs)
            del future, fn, args, kwargs
            with self._guard:
                self._idle += 1


def run_into(
    future: concurrent.futures.Future, fn: Callable[..., Any], *args: Any, **kwargs: Any
) -> None:
    """Runs `fn` and puts what it returns or raises into `future`.

    A `StopIteration` is put there as the cause of a `RuntimeError`, as a coroutine would have it:
    futures of asyncio do not take it, and who waits would wait for ever.
    """
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = fn(*args, **kwargs)
    except StopIteration as error:
        said = f" ({error})" if str(error) else ""
        wrapped = RuntimeError(f"StopIteration: an iterator had no next item{said}")
        wrapped.__cause__ = error
        future.set_exception(wrapped)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to who waits
        future.set_exception(error)
    else:
        future.set_result(result)


class OwnThread:
    """One daemon thread that runs what it is given, in order: an interpreter's session lives on it.

    dspy's interpreters check that each call comes from the thread that started them.
    """

    def __init__(self, name: str):
        self._jobs: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def submit(self, fn: Callable[..., T], *args: Any) -> concurrent.futures.Future:
        """Queues `fn(*args)`, run with a copy of the caller's context variables."""
        future: concurrent.futures.Future = concurrent.futures.Future()
        self._jobs.put((future, contextvars.copy_context().run, fn, args))
        return future

    def close(self) -> None:
        """Ends the thread once it has run what is queued."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, run, fn, args = job
            run_into(future, run, fn, *args)
            del job, future, run, fn, args


class _Private:
    """The loop and its thread; a fork gets new ones."""

    def __init__(self):
        self.lock = threading.Lock()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread: threading.Thread | None = None


_private = _Private()


def _forget() -> None:
    global _private
    _private = _Private()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def private_loop() -> asyncio.AbstractEventLoop:
    """The private loop, started at first use, and anew should its thread have ended."""
    with _private.lock:
        if _private.loop is None or _private.thread is None or not _private.thread.is_alive():
            loop = asyncio.new_event_loop()
            loop.set_default_executor(ElasticExecutor())
            thread = threading.Thread(target=_serve, args=(loop,), name="rlm-loop", daemon=True)
            thread.start()
            _private.loop, _private.thread = loop, thread
        return _private.loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Runs the loop for good.

    asyncio puts a `SystemExit` or `KeyboardInterrupt` of a task into its future, as it does with
    any exception, and then raises it out of the loop as well. Who waits for the task is told; the
    loop has lost nothing, and other runs live on it.
    """
    while True:
        with contextlib.suppress(SystemExit, KeyboardInterrupt):
            loop.run_forever()


def on_private_loop() -> bool:
    """Whether the caller runs on the private loop's own thread."""
    return threading.current_thread() is _private.thread


class Handle:
    """A coroutine that runs on the private loop, seen from any other thread.

    Args:
        coroutine: What to run; it sees a copy of the caller's context variables.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any]):
        self.future: concurrent.futures.Future = concurrent.futures.Future()
        self._task: asyncio.Task | None = None
        self._loop = private_loop()
        context = contextvars.copy_context()
        self._loop.call_soon_threadsafe(self._begin, coroutine, context)

    def cancel(self) -> None:
        """Cancels the coroutine; `result` then raises `CancelledError` once it has cleaned up."""
        self._loop.call_soon_threadsafe(self._cancel)

    def result(self) -> Any:
        """Blocks until the coroutine ends; an interrupt cancels it first.

        Raises:
            ConfigurationError: The caller is the private loop itself, which would wait for itself.
        """
        if not self.future.done():
            refuse_own_thread()
        try:
            return self.future.result()
        except (KeyboardInterrupt, SystemExit):
            self.cancel()
            raise

    async def wait(self) -> Any:
        """Waits on the caller's own loop; cancelling that cancels the coroutine."""
        try:
            return await shielded(self.future)
        except asyncio.CancelledError:
            self.cancel()
            raise

    def _begin(self, coroutine: Coroutine[Any, Any, Any], context: contextvars.Context) -> None:
        self._task = self._loop.create_task(coroutine, context=context)
        self._task.add_done_callback(self._end)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _end(self, task: asyncio.Task) -> None:
        if task.cancelled():
            self.future.cancel()
            self.future.set_running_or_notify_cancel()
        elif (error := task.exception()) is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(task.result())


async def shielded(future: concurrent.futures.Future) -> Any:
    """Waits for the future on the caller's loop; cancelling the wait leaves the future as it is.

    `asyncio.shield` would do, but from Python 3.14 on it reports what the future raises after
    nobody waits any more.
    """
    inner = asyncio.wrap_future(future)
    # Read, so that this is not reported as never retrieved either.
    inner.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait({inner})
    return inner.result()


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs on the caller's thread, which a blocking call would hold up, or none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def callers_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that the caller runs on; None for the private one, or none."""
    return None if on_private_loop() else running_loop()


def refuse_own_thread() -> None:
    """Refuses a blocking call from the private loop's own thread, which would never end.

    Raises:
        ConfigurationError: The caller is on the private loop.
    """
    if on_private_loop():
        raise ConfigurationError(
            "RLM.forward was called from asynchronous code that runs inside another RLM run: the "
            "run would wait for itself. Call `await rlm.acall(...)` there instead."
        )
