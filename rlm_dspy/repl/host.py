"""The host's side of one session: start a worker, run steps in it, roll back, branch, end.

The worker is never trusted: each wait is bounded by the step clock or a constant, each field of
each message is checked, and whatever breaks the protocol ends the session with
`InterpreterError`. What the model's code did (ran too long, took too much memory, crashed its
process) raises `CodeFailed`, after the session was put back to a state that the message names.

Snapshots: after a step's answer has arrived, the host asks for a frozen copy of the worker and
goes on at once; the request and the next step queue on one connection, so the copy always holds
the state between them. The newest copy and the one before it are kept: where the newest could not
be made, the older one is the state to go back to, and the message says so.
"""

import contextlib
import keyword
import os
import threading
import time
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rlm_dspy.dspy_errors import CodeFailed, InterpreterError, PolicyViolation
from rlm_dspy.repl import variables as values
from rlm_dspy.repl.answers import (
    Answer,
    ToolCall,
    read_answer,
    read_call,
    read_layers,
    read_partial,
    read_refusal,
)
from rlm_dspy.repl.calls import ToolTable, failed, outcome_of
from rlm_dspy.repl.isolation import LAYERS, Report, missing
from rlm_dspy.repl.launch import START_SECONDS, Launcher
from rlm_dspy.repl.peers import NUDGE_SECONDS, SEND_SECONDS, Peer
from rlm_dspy.repl.protocol import ProtocolError

_CRASH = "the code crashed its Python process (recursion too deep in C code, or out of memory)"


@dataclass(frozen=True)
class Settings:
    """What a session is started with.

    Args:
        step_seconds: How long the code of one step may run, tools apart; None: without limit.
        memory_mb: Private memory of the worker, MiB.
        max_output_chars: Where a step's output is cut, characters.
        require: Whether every layer of isolation must hold.
        snapshots: Whether to keep a copy to roll back to.
        layers: The isolation layers to apply.
    """

    step_seconds: float | None = 30.0
    memory_mb: int = 2048
    max_output_chars: int = 10_000
    require: bool = False
    snapshots: bool = True
    layers: tuple[str, ...] = LAYERS

    def start_message(self) -> dict[str, Any]:
        """The worker's share of it."""
        return {
            "layers": list(self.layers),
            "memory_mb": self.memory_mb,
            # A second line behind the host's clock, of all steps together: an hour at least.
            "cpu_seconds": max(3600, int((self.step_seconds or 0) * 100)),
            "max_output_chars": self.max_output_chars,
        }


class StepLost(Exception):
    """The worker cannot finish its step: why, in a word, and as the model is told."""

    def __init__(self, kind: str, text: str, output: str = ""):
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.output = output


class Session:
    """One worker and its copies.

    Args:
        launcher: Starts workers.
        settings: What they are started with.
    """

    def __init__(self, launcher: Launcher, settings: Settings):
        self.launcher = launcher
        self.settings = settings
        self.report: Report = {}
        self.over = ""
        self._worker: Peer | None = None
        self._copies: list[Peer] = []
        self._is_copied = False  # whether the newest copy is of the present state
        self._is_branched = False  # whether another session lives in the same process group
        self._given: dict[str, values.Variable] = {}
        self._turn = threading.Lock()  # held while a step runs
        self._lock = threading.Lock()  # guards what `interrupt` reads
        self._running = False
        self._interrupted = False
        self._number = 0  # of the step that runs
        self._nudges = 0  # answered by a "partial" message each, which may come late
        self._heard = threading.Event()  # whether an interrupted step has said what it printed
        _sessions.add(self)

    # --- life ---

    def start(self) -> None:
        """Start the worker, unless it runs.

        Raises:
            InterpreterError: It cannot be started, or a required layer of isolation is missing.
        """
        if self.over:
            raise InterpreterError(f"this REPL is over: {self.over}; make a new one")
        if self._worker is None:
            self._launch()

    def _launch(self) -> Peer:
        try:
            channel, handle = self.launcher.launch(self.settings.start_message())
        except (OSError, EOFError) as error:
            raise self._end(f"its worker cannot be started: {error}") from error
        self._worker = worker = Peer(channel, handle)
        try:
            self.report = read_layers(channel.receive(time.monotonic() + START_SECONDS))
        except (ProtocolError, EOFError, OSError) as error:
            raise self._end(f"its worker does not start: {error}") from error
        gaps = missing(self.report)
        if self.settings.require and gaps:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in gaps.items())
            raise self._end(f'isolation="require", and layers are missing: {reasons}')
        return worker

    def _end(self, why: str) -> InterpreterError:
        """Close the session; the error to raise."""
        self.close(why)
        return InterpreterError(f"the REPL broke: {why}")

    def close(self, why: str = "it was shut down") -> None:
        """End the worker and its copies; more than once is fine."""
        self.over = self.over or why
        self._drop_worker(group=True)
        self._drop_copies()
        self._given.clear()

    def forget(self) -> None:
        """In a forked child: close descriptors, leave the parent's processes alone."""
        self.over = "it belongs to the process that forked this one"
        for peer in [*self._copies, *([self._worker] if self._worker else [])]:
            peer.forget()
        self._worker = None
        self._copies.clear()
        self._turn, self._lock = threading.Lock(), threading.Lock()

    def _drop_worker(self, *, group: bool) -> None:
        """End the worker; with its group, copies and strays that it left end too."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            own_group = self.report.get("session") is True and not self._is_branched
            worker.end(group=group and own_group)

    def _drop_copies(self) -> None:
        while self._copies:
            self._copies.pop().end()

    def interrupt(self) -> None:
        """End the step that runs now, from another thread; nothing happens where none runs."""
        with self._lock:
            handle = self._worker.handle if self._running and self._worker else None
            if handle is None:
                return
            self._interrupted, number = True, self._number
            self._nudges += 1
        handle.nudge()
        if not self._heard.wait(NUDGE_SECONDS):
            with self._lock:
                if self._running and self._number == number:  # never a later step
                    handle.kill()

    # --- a step ---

    def run(
        self,
        code: str,
        variables: Mapping[str, Any],
        tools: ToolTable,
        fields: list[dict[str, Any]] | None,
    ) -> Answer:
        """Run one step.

        Args:
            code: Python.
            variables: Values to bind before it, by name.
            tools: The host functions that code may call.
            fields: What SUBMIT takes, as dspy gives it.

        Returns:
            The worker's answer, checked.

        Raises:
            CodeFailed: It ran too long, took too much memory, crashed or was interrupted; the
                session is in the state that the message names.
            PolicyViolation: The name of a variable or tool belongs to the REPL.
            InterpreterError: The session is over, or a variable cannot enter it.
        """
        if not self._turn.acquire(blocking=False):
            raise InterpreterError("this REPL runs a step already; it runs one at a time")
        try:
            self.start()
            self._begin()
            return self._step(code, variables, tools, fields)
        except StepLost as lost:
            text = f"{lost.text}; {self._recover()}"
            raise CodeFailed(text, output=lost.output, error_type=lost.kind, line=None) from None
        except ProtocolError as error:
            raise self._end(f"its worker broke the protocol: {error}") from error
        except (InterpreterError, PolicyViolation):
            raise
        except BaseException:  # of a tool, or of this thread: the step ends, the state is as before
            with contextlib.suppress(InterpreterError):
                self._recover()
            raise
        finally:
            with self._lock:
                self._running = False
            self._turn.release()

    def _begin(self) -> None:
        with self._lock:
            self._running, self._interrupted = True, False
            self._number += 1
            self._heard.clear()

    def _step(
        self,
        code: str,
        variables: Mapping[str, Any],
        tools: ToolTable,
        fields: list[dict[str, Any]] | None,
    ) -> Answer:
        worker = self._worker
        assert worker is not None
        known = set(self._given)
        try:
            self._bind(worker, variables)
            if worker.steps and not self._is_copied:
                self._copy(worker)
            worker.send({"op": "run", "code": code, "tools": sorted(tools), "fields": fields})
        except OSError as error:
            raise self._lost(error) from None
        was_copied, self._is_copied = self._is_copied, False
        try:
            answer = self._converse(worker, tools)
        except (InterpreterError, PolicyViolation):  # refused before it was begun
            self._take_back(name for name in variables if name not in known)
            raise
        if answer.full or answer.error_type == "MemoryError":
            limit = f"the {self.settings.memory_mb} MiB that it may use"
            raise StepLost("MemoryError", f"the code filled {limit}", answer.output)
        if answer.kind == "syntax":  # nothing ran: the copy is still of the present state
            self._is_copied = was_copied
            return answer
        worker.steps += 1
        if answer.kind != "submit":  # most often the end; if not, the next step asks for the copy
            self._copy(worker)
        return answer

    def _bind(self, worker: Peer, variables: Mapping[str, Any]) -> None:
        for name, value in variables.items():
            if not (isinstance(name, str) and name.isidentifier()) or keyword.iskeyword(name):
                raise InterpreterError(f"the variable name {name!r} is no Python identifier")
            known = self._given.get(name)
            if known is None or not known.is_still(value):
                self._given[name] = self._prepared(name, value)
            self._send_variable(worker, name)

    def _prepared(self, name: str, value: Any) -> values.Variable:
        """A variable; the one there is where another name holds the same object."""
        for variable in self._given.values():
            if variable.value is value and variable.is_still(value):
                return variable
        return values.prepare(name, value)

    def _take_back(self, names: Iterable[str]) -> None:
        """Forget variables that may be what was refused: a recovery would send them again."""
        for name in list(names):
            del self._given[name]

    def _send_variable(self, worker: Peer, name: str) -> None:
        if worker.bound.get(name) is not self._given[name]:
            worker.bind(name, self._given[name])
            self._is_copied = False

    def _converse(self, worker: Peer, tools: ToolTable) -> Answer:
        """Serve the worker's calls until its answer; the clock stands while a tool runs."""
        left = self.settings.step_seconds
        while True:
            began = time.monotonic()
            message = self._receive(worker, None if left is None else began + left)
            if message["op"] == "call":
                left = None if left is None else left - (time.monotonic() - began)
                self._serve(worker, read_call(message), tools)
            elif message["op"] == "done":
                return read_answer(message, self.settings.max_output_chars)
            elif message["op"] == "partial" and self._nudges:
                self._nudges -= 1
                words = read_partial(message, self.settings.max_output_chars)
                if self._interrupted:
                    self._heard.set()
                    raise self._lost(EOFError(), words)
            elif message["op"] == "refused":
                worker.bound.clear()  # whatever was refused, all is sent again next time
                raise read_refusal(message)
            elif message["op"] == "broken":
                raise self._lost(EOFError())
            else:
                raise ProtocolError(f"an unknown operation {message['op'][:40]!r}")

    def _receive(self, worker: Peer, deadline: float | None) -> dict[str, Any]:
        try:
            return worker.channel.receive(deadline)
        except TimeoutError as error:
            words = worker.last_words(self.settings.max_output_chars)
            raise self._lost(error, words) from None
        except (EOFError, OSError) as error:
            raise self._lost(error) from None

    def _serve(self, worker: Peer, call: ToolCall, tools: ToolTable) -> None:
        outcome = outcome_of(call, tools)
        try:
            try:
                worker.send(outcome, convert=values.to_plain)
            except (TypeError, ValueError, RecursionError) as error:
                text = f"{call.name}() gave a result that cannot enter the REPL: {error}"
                worker.send(failed(type(error).__name__, text))
        except OSError as error:
            raise self._lost(error) from None

    def _lost(self, error: Exception, output: str = "") -> StepLost:
        if self._interrupted:
            return StepLost("Interrupted", "the step was interrupted", output)
        if isinstance(error, TimeoutError):
            seconds = self.settings.step_seconds or SEND_SECONDS
            return StepLost("Timeout", f"the code ran longer than {seconds:g} seconds", output)
        return StepLost("Crash", _CRASH, output)

    # --- copies ---

    def _copy(self, worker: Peer) -> None:
        if not (self.settings.snapshots and self.launcher.forks):
            return
        copy = worker.freeze()
        if copy is not None:
            self._copies.append(copy)
            self._is_copied = True
        while len(self._copies) > 2:
            self._copies.pop(0).end()

    def _recover(self) -> str:
        """Replace the worker by its newest copy, else by a fresh one.

        Returns:
            What state there is now, for the model.

        Raises:
            InterpreterError: Not even a fresh worker starts.
        """
        with self._lock:
            self._running = self._interrupted = False
            self._nudges = 0
        steps = self._worker.steps if self._worker is not None else 0
        self._drop_worker(group=not self._copies)
        worker = None
        while self._copies and worker is None:
            copy = self._copies.pop()
            worker = copy if copy.thaw(self.launcher) else None
        self._drop_copies()
        worker = worker or self._launch()
        with self._lock:
            self._worker = worker
        self._is_copied = False
        try:
            for name in self._given:
                self._send_variable(worker, name)
        except OSError as error:
            raise self._end(f"the worker that was to go on is gone: {error}") from None
        if worker.steps:
            self._copy(worker)
        return _state(steps, worker.steps)

    def branch(self) -> "Session":
        """An independent copy of this session in its present state.

        Raises:
            InterpreterError: The worker cannot leave copies here, or the copy cannot be made.
        """
        self.start()
        copy = self._worker.freeze() if self._worker and self.launcher.forks else None
        if copy is None or not copy.thaw(self.launcher):
            raise InterpreterError("this REPL cannot leave copies here, so it cannot branch")
        twin = Session(self.launcher, self.settings)
        twin.report = dict(self.report)
        twin._worker = copy
        self._is_branched = twin._is_branched = True
        twin._given = dict(self._given)
        return twin


def _state(before: int, now: int) -> str:
    if now == before and now:
        return "the REPL was rolled back to its state before this step"
    if before == 0:
        return "the REPL was started anew, as before this step"
    if now:
        return f"the REPL was rolled back to its state after step {now} of {before}"
    return "the REPL was started anew: given variables are there, those that code defined are gone"


_sessions: "weakref.WeakSet[Session]" = weakref.WeakSet()


def _forget_sessions() -> None:
    for session in list(_sessions):
        session.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_sessions)
