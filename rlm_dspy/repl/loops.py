"""The facade of `asyncio`: coroutines on an event loop without sockets, threads or processes.

Promises: tasks, `gather`, timeouts, queues and locks are the library's own. The loop waits by
sleeping; where every coroutine waits for another it says so, instead of hanging. Does not promise
speed-up: model code runs in one thread, and host functions block it.
"""

import asyncio
import asyncio.base_events
import itertools
import time
from collections.abc import Callable
from typing import Any

from rlm_dspy.repl import classes, rules
from rlm_dspy.repl.clocks import CLOCK, TICK_NS, sleep
from rlm_dspy.repl.modules import Facade, facade, listed


class _Sleep:
    """Waits for the next timer; there is nothing else to wait for."""

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("all coroutines wait for each other: nothing would ever happen")
        if timeout > 0:
            sleep(timeout)
        else:  # a round of the loop is a look at its clock
            CLOCK.advance(TICK_NS)
        return []


_NUMBERS = itertools.count()


class Task(asyncio.Task):
    """`asyncio.Task`, hashed by its number: a set of them has one order in every process."""

    def __init__(self, *args: Any, **kwargs: Any):
        self._number = next(_NUMBERS)
        super().__init__(*args, **kwargs)

    def __hash__(self) -> int:
        return self._number


Task.__module__ = asyncio.Task.__module__


class _Loop(asyncio.base_events.BaseEventLoop):
    """The library's loop, over `_Sleep` in place of a selector."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Sleep()
        self.set_task_factory(lambda loop, coro, **more: Task(coro, loop=loop, **more))
        self.set_exception_handler(lambda loop, context: None)

    def time(self) -> float:
        """The loop's clock, in seconds."""
        return CLOCK.steady(time.monotonic_ns, tick=0) / 1e9

    def _process_events(self, event_list: list[Any]) -> None:
        """Nothing but timers happens on this loop."""

    def _write_to_self(self) -> None:
        """Nobody else could wake it."""

    def __del__(self, *unused: Any) -> None:
        """Closes a loop that model code left open, without a word."""
        self.close()


def run(main: Any, *, debug: bool | None = None) -> Any:
    """`asyncio.run`."""
    with asyncio.Runner(debug=debug, loop_factory=_Loop) as runner:
        return runner.run(main)


class LoopFace:
    """What `get_event_loop()` gives: a loop's few methods that stay in this thread."""

    def __init__(self) -> None:
        self._loop = _Loop()

    def run_until_complete(self, future: Any) -> Any:
        """Runs a coroutine or a future to its end."""
        return self._loop.run_until_complete(future)

    def create_task(self, coroutine: Any, *, name: str | None = None) -> Any:
        """Starts a coroutine as a task."""
        return _running(self._loop).create_task(coroutine, name=name)

    def create_future(self) -> Any:
        """Makes a future of this loop."""
        return _running(self._loop).create_future()

    def run_in_executor(self, executor: None, function: Callable[..., Any], *args: Any) -> Any:
        """Calls a function at once; there are no threads."""
        future = _running(self._loop).create_future()
        future.set_result(function(*args))
        return future

    def time(self) -> float:
        """The loop's clock, in seconds."""
        CLOCK.advance(TICK_NS)
        return self._loop.time()

    def is_running(self) -> bool:
        """Whether a coroutine runs now."""
        return asyncio._get_running_loop() is not None

    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._loop.is_closed()

    def close(self) -> None:
        """Ends the loop."""
        self._loop.close()


def _running(otherwise: _Loop) -> Any:
    return asyncio._get_running_loop() or otherwise


_FACES: list[LoopFace] = []


def _get_event_loop() -> LoopFace:
    if not _FACES or _FACES[-1].is_closed():
        _new_event_loop()
    return _FACES[-1]


def _new_event_loop() -> LoopFace:
    _FACES[:] = [LoopFace()]
    return _FACES[-1]


# There is one loop; one that is given would be compared with the keys of the library's own tables.


def _current_task(loop: Any = None) -> Any:
    return asyncio.current_task()


def _all_tasks(loop: Any = None) -> set[Any]:
    return asyncio.all_tasks()


def _get_running_loop() -> LoopFace:
    asyncio.get_running_loop()
    return _get_event_loop()


async def _to_thread(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


def _as_completed(fs: Any, *, timeout: float | None = None) -> Any:
    """`asyncio.as_completed`; the library's starts coroutines in the order of their addresses."""
    started = [asyncio.ensure_future(each) for each in dict.fromkeys(fs)]
    return asyncio.as_completed(started, timeout=timeout)


def _facade() -> Facade:
    words = """gather sleep create_task wait_for wait shield ensure_future
        iscoroutine iscoroutinefunction isfuture TaskGroup timeout timeout_at
        Timeout Lock Event Condition Semaphore BoundedSemaphore Barrier Queue PriorityQueue
        LifoQueue QueueFull QueueEmpty CancelledError InvalidStateError TimeoutError
        BrokenBarrierError FIRST_COMPLETED FIRST_EXCEPTION ALL_COMPLETED"""
    return facade(
        "asyncio",
        **listed(asyncio, words),
        # For `isinstance`: their methods lead to the loop and to frames (`Task.get_stack`).
        Task=classes.hide(Task),
        Future=classes.hide(asyncio.Future),
        run=run,
        as_completed=_as_completed,
        to_thread=_to_thread,
        get_event_loop=_get_event_loop,
        get_running_loop=_get_running_loop,
        current_task=_current_task,
        all_tasks=_all_tasks,
        new_event_loop=_new_event_loop,
        set_event_loop=lambda loop: None,
    )


ASYNC_FACADES = {"asyncio": _facade()}
_LEADS_OUT = frozenset({"get_loop", "get_stack", "print_stack", "get_coro", "get_context"})
rules.OPEN_INSTANCES.add(LoopFace)
rules.DENIED[asyncio.Future] = rules.DENIED[asyncio.Task] = _LEADS_OUT
