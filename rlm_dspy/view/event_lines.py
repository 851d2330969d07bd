"""A run's events as lines of JSON, for scripts."""

import queue
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlm_dspy.events import Event


class EventLines:
    """Writes each event as one line, from a thread of its own.

    Promised: who reads slowly does not hold up the run.

    Args:
        write: Writes one line.
    """

    def __init__(self, write: Callable[[str], None]):
        self._write = write
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()

    def listen(self, event: "Event") -> None:
        """Takes one event of the run."""
        self._events.put(event)

    @contextmanager
    def writing(self) -> Generator[None]:
        """Writes until the block has ended and all is written."""
        thread = threading.Thread(target=self._work, name="rlm-events", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._events.put(None)
            thread.join()

    def _work(self) -> None:
        from rlm_dspy.events import as_json

        while (event := self._events.get()) is not None:
            self._write(as_json(event))
