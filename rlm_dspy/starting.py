"""A run that was started: wait for it, or stop it."""

import threading
from typing import Any

import dspy

from rlm_dspy.flow import Flow
from rlm_dspy.loop import Handle
from rlm_dspy.task import Task


class RunHandle:
    """A running run.

    Args:
        task: What it does.
        inputs: Its inputs, as the REPL gets them.
    """

    def __init__(self, task: Task, inputs: dict[str, Any]):
        self._flow: Flow | None = None
        self._begun = threading.Event()
        self._stopped: str | None = None
        self._handle = Handle(self._run(task, inputs))

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

    async def _run(self, task: Task, inputs: dict[str, Any]) -> dspy.Prediction:
        self._flow = Flow(task, inputs)
        self._begun.set()
        if self._stopped is not None:
            self._flow.stop(self._stopped)
        return await self._flow.run()
