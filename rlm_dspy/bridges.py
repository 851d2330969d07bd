"""From a thread to a loop, and from one loop to another: calls that wait for what runs there."""

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Coroutine
from typing import Any


class Bridge:
    """Lets other threads wait for coroutines of the running loop, until nobody waits for them.

    Attributes:
        error: What the last of them that failed raised.
    """

    def __init__(self):
        self._loop = asyncio.get_running_loop()
        self._calls: set[concurrent.futures.Future] = set()
        self._closed = False
        self.error: Exception | None = None

    def call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Runs a coroutine on the loop, with the caller's context, and blocks until it ends.

        Raises:
            CancelledError: The bridge was closed.
        """
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        self._calls.add(future)
        if self._closed:
            future.cancel()
        try:
            return future.result()
        except Exception as error:
            self.error = error
            raise
        finally:
            self._calls.discard(future)

    async def reach(self, awaitable: Awaitable[Any]) -> Any:
        """Awaits what lives on the loop, from whatever loop: that of code in a thread too."""

        async def awaited() -> Any:
            return await awaitable

        if asyncio.get_running_loop() is self._loop:
            return await awaitable
        return await on_loop(self._loop, awaited())

    def close(self) -> None:
        """Cancels what runs, and all that comes later."""
        self._closed = True
        for call in list(self._calls):
            call.cancel()


async def on_loop(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Runs a coroutine on another loop, with the caller's context; cancelling this cancels it."""

    async def caught() -> tuple[Any, BaseException | None]:
        try:
            return await coroutine, None
        except (SystemExit, KeyboardInterrupt) as error:  # would end that loop
            return None, error

    run = caught()
    try:
        future = asyncio.run_coroutine_threadsafe(run, loop)
    except RuntimeError:  # the loop is closed
        run.close()
        coroutine.close()
        raise
    value, error = await asyncio.wrap_future(future)
    if error is not None:
        raise error
    return value
