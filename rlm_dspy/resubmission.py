"""A resubmitted example is answered by the run that is already working on it.

`dspy.Parallel` and `dspy.Evaluate` submit an example a second time when it takes long (after 120
seconds in `Evaluate`) and keep whichever ends first: a long run would be paid twice. dspy passes no
sign of it to the module, so it is read off the frame of dspy's own worker: same batch, same
example, another submission. Deliberate repeats (best-of-n, an optimizer's samples) are other
examples, other calls or other LMs, and are never merged.
"""

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import dspy
from dspy.dsp.utils.settings import main_thread_config
from dspy.utils.usage_tracker import UsageTracker


class Waited(Protocol):
    """A run that can be waited for."""

    def result(self) -> dspy.Prediction:
        """Blocks until it ends."""
        ...


@dataclass(frozen=True)
class Submission:
    """Where a call comes from.

    Args:
        batch: dspy's record of one batch; held, so that its identity stays its own.
        index: The example's place in the batch.
        number: Which submission of the batch it is.
    """

    batch: Any
    index: int
    number: int


class Flight:
    """One run that several submissions may wait for.

    What it adds to the trace and to the usage is kept apart until it ends, so that each submission
    gets all of it, whichever dspy takes; and once, where they share a trace.

    Args:
        submission: The submission that starts it.
        start: Starts it.
    """

    def __init__(self, submission: Submission, start: Callable[[], Waited]):
        self.number = submission.number
        self._batch = submission.batch
        self._told: list[Any] = []  # the traces and trackers that have it
        self._trace: list[Any] = []
        self._usage = UsageTracker()
        settings = dspy.settings
        # The global trace is that of all threads already.
        traced = settings.trace is not None and settings.trace is not main_thread_config.trace
        apart: dict[str, Any] = {"trace": self._trace} if traced else {}
        if settings.usage_tracker is not None:
            apart["usage_tracker"] = self._usage
        with dspy.context(**apart):
            self.run = start()

    def tell(self) -> None:
        """Adds what the run did to the calling thread's trace and usage."""
        trace, tracker = dspy.settings.trace, dspy.settings.usage_tracker
        if trace is not None and self._is_new(trace):
            for entry in list(self._trace):
                if len(trace) >= dspy.settings.max_trace_size:
                    trace.pop(0)
                trace.append(entry)
        if tracker is not None and self._is_new(tracker):
            for lm, entries in list(self._usage.usage_data.items()):
                for entry in entries:
                    tracker.add_usage(lm, entry)

    def _is_new(self, teller: Any) -> bool:
        with _guard:
            known = any(teller is other for other in self._told)
            self._told.append(teller)
        return not known


_in_flight: dict[tuple[Any, ...], Flight] = {}
_guard = threading.Lock()


def current_submission() -> Submission | None:
    """The submission that the calling thread works on; None outside of dspy's batches."""
    frame = sys._getframe(1)
    while frame is not None:
        is_worker = frame.f_code.co_name == "worker"
        if is_worker and frame.f_globals.get("__name__") == "dspy.utils.parallelizer":
            found = frame.f_locals
            if {"start_time_map", "index", "submission_id"} <= set(found):
                return Submission(found["start_time_map"], found["index"], found["submission_id"])
        frame = frame.f_back
    return None


def answered_once(
    module: Any, inputs: dict[str, Any], start: Callable[[], Waited]
) -> dspy.Prediction:
    """Starts a run and waits for it, or waits for the one that is in flight for this example.

    Args:
        module: The module that is called.
        inputs: Its inputs, compared by identity: a resubmission passes the same objects.
        start: Starts the run.
    """
    submission = current_submission()
    if submission is None:
        return start().result()
    given = tuple((name, id(value)) for name, value in sorted(inputs.items()))
    key = (id(submission.batch), submission.index, id(module), id(dspy.settings.lm), given)
    with _guard:
        before = _in_flight.get(key)
        joins = before is not None and before.number != submission.number
        flight = before if joins else Flight(submission, start)
        own = before is None
        if own:
            _in_flight[key] = flight
    try:
        result = flight.run.result()
        # dspy sets each one's usage: a joined run's result has to be another object.
        return result.copy() if joins else result
    finally:
        flight.tell()
        if own:
            with _guard:
                _in_flight.pop(key, None)
