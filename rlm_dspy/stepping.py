"""A question that stops before each step: look at the planner's code, edit it, run it, go on."""

import asyncio
import queue
from collections.abc import Callable
from typing import Any, NamedTuple

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.events import Event, Executed, Submitted


class _Seen(NamedTuple):
    step: int
    reasoning: str
    code: str
    answer: Callable[[str], None]


class Stepping:
    """A question of a session, a step at a time; made by `Session.step`.

    Args:
        start: Starts the question, given `review` and `listeners`.
        variables: What is defined in the REPL.

    Attributes:
        number: The number of the step that waits, from 1; 0 where none does.
        reasoning: What the planner said beside its code.
        code: The code that runs next: change it before `run`.
        output: What the step before printed.

    Example:
        >>> paused = session.step("Which ship?")
        >>> paused.code = paused.code.replace("k=3", "k=10")
        >>> paused.run()
        >>> paused.go_on().answer
    """

    def __init__(self, start: Callable[..., Any], variables: Callable[[], dict[str, str]]):
        self.number, self.reasoning, self.code, self.output = 0, "", "", ""
        self._variables = variables
        self._seen: queue.SimpleQueue[_Seen | None] = queue.SimpleQueue()
        self._answer: Callable[[str], None] | None = None
        self._runs_on = False
        self._question = start(review=self._review, listeners=(self._listen,))
        self._question.on_end(lambda: self._seen.put(None))
        self._wait()

    @property
    def done(self) -> bool:
        """Whether the question has ended, with an answer or an error: `go_on` gives it."""
        return self._answer is None and self._question.done()

    def run(self) -> str:
        """Runs the code as it stands in `code`, and waits for the planner's next.

        Returns:
            What the step printed, as the planner was told it.

        Raises:
            ConfigurationError: No step waits.
        """
        self._take()
        self._wait()
        return self.output

    def go_on(self) -> Any:
        """Runs on without stopping.

        Returns:
            What `Session.ask` returns.

        Raises:
            RLMError: The machinery failed.
        """
        self._runs_on = True
        if self._answer is not None:
            self._take()
        return self._question.result()

    def stop(self) -> Any:
        """Ends the question with its best partial answer, and returns it."""
        self._answer = None
        self._question.stop()
        return self._question.result()

    def vars(self) -> dict[str, str]:
        """What is defined in the REPL now: by name the type, and the size or the value."""
        return self._variables()

    def __repr__(self) -> str:
        if self._answer is None:
            return "<Stepping, done>" if self.done else "<Stepping, under way>"
        return f"<Stepping, step {self.number} waits>\n{self.code}"

    def _take(self) -> None:
        if self._answer is None:
            raise ConfigurationError("No step waits here: the question has ended.")
        answer, self._answer = self._answer, None
        answer(self.code)

    def _wait(self) -> None:
        seen = self._seen.get()
        if seen is None:
            self.number, self.reasoning, self.code = 0, "", ""
            self._question.settle()
            return
        self.number, self.reasoning, self.code, self._answer = seen

    def _listen(self, event: Event) -> None:
        if event.run:
            return
        if isinstance(event, Executed):
            self.output = event.output
        elif isinstance(event, Submitted):
            self.output = event.error or f"FINAL: {event.outputs}"

    async def _review(self, step: int, reasoning: str, code: str) -> str:
        """In the run's loop: waits for what is to run."""
        if self._runs_on:
            return code
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[str] = loop.create_future()

        def answer(said: str) -> None:
            loop.call_soon_threadsafe(lambda: reply.done() or reply.set_result(said))

        self._seen.put(_Seen(step, reasoning, code, answer))
        return await reply
