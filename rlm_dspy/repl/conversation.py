"""One step's talk with the worker: its clock, its calls of tools, its interruption, its answer."""

import threading
import time
from dataclasses import dataclass
from typing import Any

from rlm_dspy.repl import variables as values
from rlm_dspy.repl.answers import (
    Answer,
    ToolCall,
    read_answer,
    read_call,
    read_partial,
    read_refusal,
)
from rlm_dspy.repl.calls import ToolTable, failed, outcome_of
from rlm_dspy.repl.peers import NUDGE_SECONDS, SEND_SECONDS, Peer
from rlm_dspy.repl.protocol import ProtocolError
from rlm_dspy.repl.session_settings import Settings

_CRASH = "the code crashed its Python process (recursion too deep in C code, or out of memory)"


class StepLost(Exception):
    """The worker cannot finish its step: why, in a word, and as the model is told."""

    def __init__(self, kind: str, text: str, output: str = ""):
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.output = output


@dataclass(frozen=True)
class Step:
    """What a worker is to run.

    Args:
        code: Python.
        tools: The host functions that it may call.
        fields: What SUBMIT takes, as dspy gives it.
        time: When it begins, for its clocks: seconds since the epoch; None: they are the real ones.
    """

    code: str
    tools: ToolTable
    fields: list[dict[str, Any]] | None = None
    time: float | None = None

    def message(self) -> dict[str, Any]:
        """It as a message to the worker."""
        return {
            "op": "run",
            "code": self.code,
            "tools": sorted(self.tools),
            "fields": self.fields,
            "time": self.time,
        }


class Conversation:
    """The talk of one session, a step at a time.

    Args:
        settings: What the session was started with.
    """

    def __init__(self, settings: Settings):
        self._settings = settings
        self._lock = threading.Lock()  # guards what `interrupt` reads
        self._worker: Peer | None = None  # that runs a step
        self._interrupted = False
        self._number = 0  # of the step that runs
        self._nudges = 0  # answered by a "partial" message each, which may come late
        self._heard = threading.Event()  # whether an interrupted step has said what it printed

    def begin(self, worker: Peer) -> None:
        """A step begins in this worker."""
        with self._lock:
            self._worker, self._interrupted = worker, False
            self._number += 1
            self._heard.clear()

    def end(self) -> None:
        """The step is over."""
        with self._lock:
            self._worker = None

    def forget(self) -> None:
        """The worker is another one: what was asked of the last one is not answered any more."""
        with self._lock:
            self._worker, self._interrupted, self._nudges = None, False, 0

    def interrupt(self) -> None:
        """End the step that runs now, from another thread; nothing happens where none runs."""
        with self._lock:
            handle = self._worker.handle if self._worker is not None else None
            if handle is None:
                return
            self._interrupted, number = True, self._number
            self._nudges += 1
        handle.nudge()
        if not self._heard.wait(NUDGE_SECONDS):
            with self._lock:
                if self._worker is not None and self._number == number:  # never a later step
                    handle.kill()

    def answer(self, worker: Peer, tools: ToolTable) -> Answer:
        """Serve the worker's calls until its answer; the clock stands while a tool runs.

        Raises:
            StepLost: There will be none.
            InterpreterError, PolicyViolation: The step was refused before it was begun.
            ProtocolError: The worker broke the protocol.
        """
        left = self._settings.step_seconds
        while True:
            began = time.monotonic()
            message = self._receive(worker, None if left is None else began + left)
            if message["op"] == "call":
                left = None if left is None else left - (time.monotonic() - began)
                self._serve(worker, read_call(message), tools)
            elif message["op"] == "done":
                return read_answer(message, self._settings.max_output_chars)
            elif message["op"] == "partial" and self._nudges:
                self._nudges -= 1
                words = read_partial(message, self._settings.max_output_chars)
                if self._interrupted:
                    self._heard.set()
                    raise self.lost(EOFError(), words)
            elif message["op"] == "refused":
                worker.bound.clear()  # whatever was refused, all is sent again next time
                raise read_refusal(message)
            elif message["op"] == "broken":
                raise self.lost(EOFError())
            else:
                raise ProtocolError(f"an unknown operation {message['op'][:40]!r}")

    def _receive(self, worker: Peer, deadline: float | None) -> dict[str, Any]:
        try:
            return worker.channel.receive(deadline)
        except TimeoutError as error:
            words = worker.last_words(self._settings.max_output_chars)
            raise self.lost(error, words) from None
        except (EOFError, OSError) as error:
            raise self.lost(error) from None

    def _serve(self, worker: Peer, call: ToolCall, tools: ToolTable) -> None:
        outcome = outcome_of(call, tools)
        try:
            try:
                worker.send(outcome, convert=values.to_plain)
            except (TypeError, ValueError, RecursionError) as error:
                text = f"{call.name}() gave a result that cannot enter the REPL: {error}"
                worker.send(failed(type(error).__name__, text))
        except OSError as error:
            raise self.lost(error) from None

    def lost(self, error: Exception, output: str = "") -> StepLost:
        """Why a step is lost whose worker does not answer: interrupted, too slow, or dead."""
        if self._interrupted:
            return StepLost("Interrupted", "the step was interrupted", output)
        if isinstance(error, TimeoutError):
            seconds = self._settings.step_seconds or SEND_SECONDS
            return StepLost("Timeout", f"the code ran longer than {seconds:g} seconds", output)
        return StepLost("Crash", _CRASH, output)
