"""The host's side of one session: start a worker, run steps in it, roll back, branch, end.

The worker is never trusted: each wait is bounded by the step clock or a constant, each field of
each message is checked, and whatever breaks the protocol ends the session with
`InterpreterError`. What the model's code did (ran too long, took too much memory, crashed its
process) raises `CodeFailed`, after the session was put back to a state that the message names.

Snapshots: with each step the host asks for a frozen copy of the worker, which is made after the
step's answer was sent; the request and the next step queue on one connection, so the copy always
holds the state between them. The newest two are kept (`copies`); the message says to which of them
a lost step went back.
"""

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Mapping
from typing import Any

from rlm_dspy.dspy_errors import CodeFailed, InterpreterError, PolicyViolation
from rlm_dspy.repl.answers import Answer, read_layers
from rlm_dspy.repl.conversation import Conversation, Step, StepLost
from rlm_dspy.repl.copies import Copies
from rlm_dspy.repl.isolation import Report, missing
from rlm_dspy.repl.launch import START_SECONDS, Launcher
from rlm_dspy.repl.peers import Peer
from rlm_dspy.repl.protocol import ProtocolError
from rlm_dspy.repl.session_settings import Settings
from rlm_dspy.repl.variables import Given


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
        self._copies = Copies()
        self._is_branched = False  # whether another session lives in the same process group
        self._given = Given()
        self._turn = threading.Lock()  # held while a step runs
        self._conversation = Conversation(settings)
        _sessions.add(self)

    # --- life ---

    def start(self) -> None:
        """Start the worker, unless it runs.

        Raises:
            InterpreterError: It cannot be started, or a required layer of isolation is missing.
        """
        self._refuse_if_over()
        if self._worker is None:
            self._launch()

    def _refuse_if_over(self) -> None:
        if self.over:
            raise InterpreterError(f"this REPL is over: {self.over}; make a new one")

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
        self._copies.end()
        self._given = Given()

    def forget(self) -> None:
        """In a forked child: close descriptors, leave the parent's processes alone."""
        self.over = "it belongs to the process that forked this one"
        self._copies.forget()
        if self._worker is not None:
            self._worker.forget()
        self._worker = None
        self._turn, self._conversation = threading.Lock(), Conversation(self.settings)

    def _drop_worker(self, *, group: bool) -> None:
        """End the worker; with its group, copies and strays that it left end too."""
        worker, self._worker = self._worker, None
        if worker is not None:
            own_group = self.report.get("session") is True and not self._is_branched
            worker.end(group=group and own_group)

    def interrupt(self) -> None:
        """End the step that runs now, from another thread; nothing happens where none runs."""
        self._conversation.interrupt()

    # --- a step ---

    def run(self, step: Step, variables: Mapping[str, Any]) -> Answer:
        """Run one step.

        Args:
            step: The step.
            variables: Values to bind before it, by name.

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
            return self._step(step, variables)
        except StepLost as lost:
            state = self._recover()
            raise CodeFailed(
                f"{lost.text}; {state}",
                output=lost.output,
                error_type=lost.kind,
                line=None,
                rolled_back=state in (_ROLLED_BACK, _ANEW),
            ) from None
        except ProtocolError as error:
            raise self._end(f"its worker broke the protocol: {error}") from error
        except (InterpreterError, PolicyViolation):
            raise
        except BaseException:  # of a tool, or of this thread: the step ends, the state is as before
            with contextlib.suppress(InterpreterError):
                self._recover()
            raise
        finally:
            self._conversation.end()
            self._turn.release()

    def _step(self, step: Step, variables: Mapping[str, Any]) -> Answer:
        worker = self._worker
        assert worker is not None
        self._conversation.begin(worker)
        known = self._given.names
        try:
            self._bind(worker, variables)
            if worker.steps and not self._copies.current:
                self._copy(worker)
            worker.send(step.message())
        except OSError as error:
            raise self._conversation.lost(error) from None
        was_copied, self._copies.current = self._copies.current, False
        # Asked for now, while the worker is busy, it costs the caller of the step nothing.
        copy = worker.freeze(of_step=True) if self._keeps_copies else None
        answer = None
        try:
            answer = self._conversation.answer(worker, {**self._given.functions, **step.tools})
        except (InterpreterError, PolicyViolation):  # refused before it was begun
            self._given.take_back(name for name in variables if name not in known)
            raise
        finally:
            if copy is not None and not (answer and answer.leaves_copy):
                copy.end()
        if answer.full or answer.error_type == "MemoryError":
            limit = f"the {self.settings.memory_mb} MiB that it may use"
            raise StepLost("MemoryError", f"the code filled {limit}", answer.output)
        if answer.kind == "syntax":  # nothing ran: the copy is still of the present state
            self._copies.current = was_copied
            return answer
        worker.steps += 1
        if copy is not None and answer.leaves_copy:
            self._copies.keep(copy)
        return answer

    def _bind(self, worker: Peer, variables: Mapping[str, Any]) -> None:
        self._given.take(variables)
        if self._given.send(worker, variables):
            self._copies.current = False

    # --- copies ---

    @property
    def _keeps_copies(self) -> bool:
        return self.settings.snapshots and self.launcher.forks

    def _copy(self, worker: Peer) -> None:
        copy = worker.freeze() if self._keeps_copies else None
        if copy is not None:
            self._copies.keep(copy)

    def _recover(self) -> str:
        """Replace the worker by its newest copy, else by a fresh one.

        Returns:
            What state there is now, for the model.

        Raises:
            InterpreterError: Not even a fresh worker starts, or the session was shut down.
        """
        self._refuse_if_over()
        self._conversation.forget()
        steps = self._worker.steps if self._worker is not None else 0
        self._drop_worker(group=not self._copies)
        worker = self._copies.thaw(self.launcher) or self._launch()
        self._worker = worker
        if self.over:  # by another thread
            self.close()
            self._refuse_if_over()
        try:
            self._given.send(worker)
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
        twin._given = self._given.copy()
        return twin


_ROLLED_BACK = "the REPL was rolled back to its state before this step"
_ANEW = "the REPL was started anew, as before this step"


def _state(before: int, now: int) -> str:
    if now == before and now:
        return _ROLLED_BACK
    if before == 0:
        return _ANEW
    if now:
        return f"the REPL was rolled back to its state after step {now} of {before}"
    return "the REPL was started anew: given variables are there, those that code defined are gone"


_sessions: "weakref.WeakSet[Session]" = weakref.WeakSet()


def _forget_sessions() -> None:
    for session in list(_sessions):
        session.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_sessions)
