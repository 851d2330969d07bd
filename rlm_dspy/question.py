"""One question of a session while it is under way, and once it was answered."""

import asyncio
import threading
from collections.abc import Callable
from typing import NamedTuple

import dspy

from rlm_dspy.starting import RunHandle


class Answer(NamedTuple):
    """A question that was answered.

    Attributes:
        question: What was asked.
        result: What `RLM.forward` would have returned.
    """

    question: str
    result: dspy.Prediction


class Question:
    """A question that is under way; as a `RunHandle`.

    Args:
        text: What is asked.
        handle: Its run.
        ended: Called once it has ended: the session keeps or undoes what it did.
    """

    def __init__(
        self, text: str, handle: RunHandle, ended: "Callable[[Question, RunHandle], None]"
    ):
        self.text = text
        self._ended = ended
        self._handle = handle
        self._over = threading.Event()
        handle.on_end(self._over.set)
        self.stop, self.cancel = handle.stop, handle.cancel
        self.done, self.on_end = handle.done, handle.on_end

    def result(self) -> dspy.Prediction:
        """Blocks until it is answered; an interrupt cancels it.

        Raises:
            RLMError: The machinery failed; the session is as it was before the question.
        """
        try:
            return self._handle.result()
        finally:
            self.settle()

    async def wait(self) -> dspy.Prediction:
        """Waits for it on the caller's loop; cancelling this cancels it."""
        try:
            return await self._handle.wait()
        finally:
            await asyncio.to_thread(self.settle)

    def settle(self) -> None:
        """Waits for its end, and has the session keep or undo what it did."""
        self._over.wait()
        self._ended(self, self._handle)
