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


_in_flight: dict[tuple[Any, ...], tuple[Submission, Waited]] = {}
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
        if before is not None and before[0].number != submission.number:
            run, own = before[1], False
        else:
            run, own = start(), before is None
            if own:
                _in_flight[key] = (submission, run)
    try:
        return run.result()
    finally:
        if own:
            with _guard:
                _in_flight.pop(key, None)
