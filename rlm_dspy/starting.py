"""A run that was started: wait for it, or stop it."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import dspy

from rlm_dspy.errors import ReplayMismatch
from rlm_dspy.event_log import EventLog
from rlm_dspy.events import RunResumed
from rlm_dspy.flow import Flow
from rlm_dspy.loop import Handle
from rlm_dspy.recording import recorder_of
from rlm_dspy.runs.monthly import monthly_cap
from rlm_dspy.runs.record import Record
from rlm_dspy.streaming import relayed
from rlm_dspy.task import Task


class RunHandle:
    """A running run.

    Args:
        task: What it does.
        inputs: Its inputs, as the REPL gets them.
        record: What was recorded of it before, or of the run that it is forked from.
    """

    def __init__(self, task: Task, inputs: dict[str, Any], record: Record | None = None):
        self._record = record
        self._flow: Flow | None = None
        self._begun = threading.Event()
        self._stopped: str | None = None
        self._handle = Handle(relayed(self._run(task, inputs)))

    def result(self) -> dspy.Prediction:
        """Blocks until the run ends; an interrupt cancels it.

        Raises:
            RLMError: The machinery failed.
        """
        return self._handle.result()

    async def wait(self) -> dspy.Prediction:
        """Waits for the run on the caller's loop; cancelling this cancels the run."""
        return await self._handle.wait()

    def done(self) -> bool:
        """Whether the run has ended."""
        return self._handle.future.done()

    def stop(self, reason: str = "interrupted") -> None:
        """Ends the run soon, with the best partial answer."""
        self._stopped = reason
        if self._begun.wait(5) and self._flow is not None:
            self._flow.stop(reason)

    def cancel(self) -> None:
        """Ends the run at once, without an answer."""
        self._handle.cancel()

    def on_end(self, callback: Callable[[], object]) -> None:
        """Has a function called once the run has ended, in the run's thread or at once."""
        self._handle.future.add_done_callback(lambda _: callback())

    async def _run(self, task: Task, inputs: dict[str, Any]) -> dspy.Prediction:
        record = self._record
        goes_on = record is not None and record.mode != "fork"
        log = EventLog(task.listeners, id=record.run if goes_on else None, record=record)
        recorder = await asyncio.to_thread(recorder_of, task, log.id, inputs, record)
        log.keep_in(recorder)
        replayed = record is not None and record.is_strict
        cap = None if replayed else await asyncio.to_thread(monthly_cap, log.id)
        self._flow = Flow(task, inputs, log=log, cap=cap)
        if record is not None and record.mode == "resume":
            log.append(RunResumed())
        self._begun.set()
        if self._stopped is not None:
            self._flow.stop(self._stopped)
        try:
            result = await self._flow.run()
        except ReplayMismatch:
            if recorder is not None and record is not None and record.mode == "resume":
                recorder.release(record.state)
            raise
        except (asyncio.CancelledError, SystemExit, KeyboardInterrupt):
            if recorder is not None:  # as if its process had died: it may be resumed
                recorder.release("running")
            raise
        if recorder is not None:
            recorder.answered({name: result.get(name) for name in task.outer.output_fields})
        return result
