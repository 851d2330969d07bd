"""Runs a program over examples: many at once, recorded as they end, resumable.

Not dspy's `Evaluate`, which submits slow examples a second time, so that they are paid twice, and
scores whatever breaks as 0.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import dspy

from eval.ledger import Ledger
from eval.purse import Purse
from eval.records import FINAL, Record
from eval.trials import Subject, attempt

# The pauses before an example is tried again whose model or REPL broke, seconds.
PAUSES = (1.0, 5.0)


def run_examples(
    subject: Subject,
    examples: Sequence[dspy.Example],
    ledger: Ledger,
    *,
    purse: Purse,
    workers: int = 8,
    pauses: Sequence[float] = PAUSES,
    told: Callable[[Record], None] = lambda record: None,
) -> list[Record]:
    """Runs a program over the examples that are not over yet.

    Args:
        subject: The program.
        examples: The examples.
        ledger: Where each is recorded as it ends.
        purse: What pays; when it is empty no further example is begun.
        workers: How many examples are under way at once.
        pauses: How long to wait before each further attempt after a breakdown, seconds.
        told: Is told each record, from one thread at a time.

    Returns:
        The records of all examples, in their order; none for one that was not begun.

    Raises:
        ConfigurationError, ProviderError: Something is set up wrongly, so that no example can be
            answered; what ended before is recorded.
    """
    pool = _Pool(subject, ledger, purse, pauses, told)
    for example in examples:
        if ledger.ended(example):
            ledger.forget_calls(example)
        else:
            pool.waiting.put(example)
    threads = [threading.Thread(target=pool.work, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)  # so that Ctrl-C is heard
    finally:
        pool.stop.set()
    if pool.errors:
        raise pool.errors[0]
    return [ledger.records[example.id] for example in examples if example.id in ledger.records]


class _Pool:
    """The workers' examples, and what stops them."""

    def __init__(
        self,
        subject: Subject,
        ledger: Ledger,
        purse: Purse,
        pauses: Sequence[float],
        told: Callable[[Record], None],
    ) -> None:
        self.waiting: queue.SimpleQueue[dspy.Example] = queue.SimpleQueue()
        self.stop = threading.Event()
        self.errors: list[BaseException] = []
        self._subject, self._ledger, self._purse = subject, ledger, purse
        self._pauses, self._told = pauses, told
        self._lock = threading.Lock()

    def work(self) -> None:
        """Runs examples until none is left, the money is spent, or one cannot be run at all."""
        while not self.stop.is_set():
            try:
                record = self._tried(self.waiting.get_nowait())
            except queue.Empty:
                return
            except BaseException as error:  # noqa: BLE001 - raised again by who waits
                self.errors.append(error)
                self.stop.set()
                return
            with self._lock:
                self._told(record)
            if record.outcome == "budget":
                self.stop.set()

    def _tried(self, example: dspy.Example) -> Record:
        """An example, tried again after each pause where a model or the REPL broke; recorded."""
        for number, pause in enumerate([*self._pauses, None], 1):
            journal = self._ledger.journal(example)
            record = replace(attempt(self._subject, example, self._purse, journal), attempts=number)
            broke = record.outcome == "infrastructure"
            if broke:
                journal.begin_anew()
            if not broke or pause is None:
                self._ledger.add(record)
                if record.outcome in FINAL:
                    self._ledger.forget_calls(example)
                return record
            time.sleep(pause)
        raise AssertionError("the last attempt returns")
