"""An event loop whose clock jumps to the next timer: minutes pass in milliseconds."""

import asyncio
import functools


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time stands still while something runs, threads too, and jumps when nothing does."""

    def __init__(self):
        super().__init__()
        self.now = 1_000.0
        self._in_threads = 0

    def time(self):
        return self.now

    def run_in_executor(self, executor, func, *args):
        self._in_threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_ended)
        return future

    def _thread_ended(self, future):
        self._in_threads -= 1

    async def shutdown_default_executor(self, timeout=None):
        """Waits for the threads without a timer: from Python 3.12 on there is one, which would
        ring at once.
        """
        self._in_threads += 1
        await super().shutdown_default_executor()
        self._in_threads -= 1

    def _run_once(self):
        if not self._ready and not self._in_threads:
            timers = [handle for handle in self._scheduled if not handle.cancelled()]
            if timers:
                self.now = max(self.now, min(handle.when() for handle in timers))
        super()._run_once()


def virtual(test):
    """Runs an asynchronous test on a loop with virtual time."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(test(*args, **kwargs))

    return run


def now():
    """The virtual time."""
    return asyncio.get_running_loop().time()
