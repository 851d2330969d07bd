"""Garbage collection in a worker: it runs finalizers, model code, and so belongs to a step.

A worker has it off, so that no finalizer runs while it speaks with the host, in its control thread
or while a snapshot is taken. Each step turns it on, and what the step leaves behind is collected
before it is over: a finalizer that hangs costs the step that left it, and no later one.
"""

import contextlib
import gc
import time
from collections.abc import Generator

# A full collection at a step's end may take a tenth of the step's own time.
_SHARE = 10


class Garbage:
    """The collections of one session."""

    def __init__(self) -> None:
        self._seconds = 0.0  # what the last full one took

    @contextlib.contextmanager
    def of_a_step(self) -> Generator[None]:
        """Collects while a step runs and at its end; does nothing where collection is on anyway."""
        if gc.isenabled():
            yield
            return
        gc.enable()
        began = time.perf_counter()
        try:
            yield
            ended = time.perf_counter()
            if ended - began > _SHARE * self._seconds:
                gc.collect()
                self._seconds = time.perf_counter() - ended
            else:
                gc.collect(1)  # what is new
        finally:
            gc.disable()
