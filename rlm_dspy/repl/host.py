"""The host's side of one session: start a worker, run steps in it, roll back, branch, end.
 The worker is never trusted: each wait is bounded by the step clock or a constant, each field of
each message is checked, and whatever breaks the protocol ends the session with
`InterpreterError`. What the model's code did (failed, ran too long, took too much memory, crashed
its process) raises `CodeFailed`, after the session was put back to a state that the message
names.
 Snapshots: after a step's answer has arrived, the host asks for a frozen copy of the worker and
goes on at once; the request and the next step queue on one connection, so the copy always holds
the state between them. A copy answers on a connection of its own. The newest copy and, until that
one is known to exist, the one before are kept; closing their connection ends them.
"""

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rlm_dspy.dspy_errors import CodeFailed, InterpreterError
from rlm_dspy.repl import variables as binding
from rlm_dspy.repl.answers import Answer, ToolCall, read_answer, read_call, read_partial
from rlm_dspy.repl.calls import ToolTable, failed, outcome_of
from rlm_dspy.repl.isolation import LAYERS, Report, missing
from rlm_dspy.repl.launch import START_SECONDS, Handle, Launcher, host_channel, pair
from rlm_dspy.repl.protocol import Channel, ProtocolError

# Seconds to write a message to a worker that reads, and for a frozen copy to wake.
_SEND_SECONDS = 60.0
_THAW_SECONDS = 30.0
# Seconds for a worker that is to be killed to say what its code printed.
_NUDGE_SECONDS = 0.25


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
        seconds = self.step_seconds or 0
        return {
            "layers": list(self.layers),
            "memory_mb": self.memory_mb,
            "cpu_seconds": max(3600, int(seconds * 100)),
            "max_output_chars": self.max_output_chars,
        }


class StepLost(Exception):
    """The worker cannot finish its step: why, in a word, and as the model is told."""

    def __init__(self, kind: str, text: str, output: str = ""):
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.output = output


@dataclass
class Copy:
    """A frozen copy of the worker.

    Args:
        channel: Its own connection.
        steps: How many steps had been answered when it was taken.
        bound: The variables it has.
    """

    channel: Channel
    steps: int
    bound: dict[str, binding.Variable] = field(default_factory=dict)

    def discard(self) -> None:
        """End it: a frozen copy ends when its connection does."""
        self.channel.close()


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
        self._channel: Channel | None = None
        self._handle: Handle | None = None
        self._given: dict[str, binding.Variable] = {}
        self._bound: dict[str, binding.Variable] = {}
        self._copies: list[Copy] = []
        self._steps = 0
        self._branched = False  # whether another session lives in the same process group
        self._asleep = False  # whether the newest copy is of the present state
        self._lock = threading.Lock()
        self._busy = False
        self._interrupted = False
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
        if self._channel is None:
            self._launch()

    def _launch(self) -> None:
        start = self.settings.start_message()
        try:
            channel, handle = self.launcher.launch(start)
        except (OSError, EOFError) as error:
            raise self._end(f"its worker cannot be started: {error}") from error
        with self._lock:
            self._channel, self._handle = channel, handle
        ready = self._expect(channel, "ready", START_SECONDS)
        layers = ready.get("layers")
        if type(layers) is not dict or not all(type(x) in (str, bool) for x in layers.values()):
            raise self._end("its worker reports no layers")
        self.report = layers
        gaps = missing(layers)
        if self.settings.require and gaps:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in gaps.items())
            raise self._end(f'isolation="require", and layers are missing: {reasons}')

    def _expect(self, channel: Channel, op: str, seconds: float) -> dict[str, Any]:
        try:
            message = channel.receive(time.monotonic() + seconds)
        except (ProtocolError, EOFError, OSError) as error:
            raise self._end(f"its worker does not answer: {error}") from error
        if message["op"] != op:
            raise self._end(f"its worker says {message['op'][:40]!r} in place of {op!r}")
        return message

    def _end(self, why: str, output: str = "") -> InterpreterError:
        """Close the session; the error to raise."""
        self.close(why)
        return InterpreterError(f"the REPL broke: {why}", output=output)

    def close(self, why: str = "it was shut down") -> None:
        """End the worker and its copies; more than once is fine."""
        self.over = self.over or why
        self._drop_worker(group=True)
        for copy in self._copies:
            copy.discard()
        self._copies.clear()
        for variable in self._given.values():
            variable.close()
        self._given.clear()

    def forget(self) -> None:
        """In a forked child: close descriptors, leave the parent's processes alone."""
        self.over = "it belongs to the process that forked this one"
        for channel in [self._channel, *(copy.channel for copy in self._copies)]:
            if channel is not None:
                channel.close()
        if self._handle is not None:
            self._handle.forget()
        self._channel = self._handle = None
        self._copies.clear()
        self._lock = threading.Lock()

    def _drop_worker(self, *, group: bool) -> None:
        """End the worker; with its group, what copies and strays it left end too."""
        group = group and self.report.get("session") is True and not self._branched
        with self._lock:
            channel, handle = self._channel, self._handle
            self._channel = self._handle = None
        if handle is not None and group:
            handle.kill_group()
        elif handle is not None:
            handle.kill()
        if channel is not None:
            channel.close()

    def interrupt(self) -> None:
        """End the step that runs now, from another thread; nothing happens where none runs."""
        with self._lock:
            handle = self._handle
            if not self._busy or handle is None:
                return
            self._interrupted = True
        handle.nudge()
        if not self._heard.wait(_NUDGE_SECONDS):
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
            InterpreterError: The session is over, or a variable cannot enter it.
        """
        with self._lock:
            if self._busy:
                raise InterpreterError("this REPL runs a step already; it runs one at a time")
            self._busy, self._interrupted = True, False
            self._heard.clear()
        try:
            self.start()
            return self._step(code, variables, tools, fields)
        except StepLost as lost:
            raise self._rolled_back(lost) from None
        except ProtocolError as error:
            raise self._end(f"its worker broke the protocol: {error}") from error
        except InterpreterError:
            raise
        except BaseException:
            self._abandon()
            raise
        finally:
            with self._lock:
                self._busy = False

    def _step(
        self,
        code: str,
        variables: Mapping[str, Any],
        tools: ToolTable,
        fields: list[dict[str, Any]] | None,
    ) -> Answer:
        self._bind(variables)
        if self._steps and not self._asleep:
            self._request_copy()
        message = {"op": "run", "code": code, "tools": sorted(tools), "fields": fields}
        self._send(message)
        kept, self._asleep = self._asleep, False
        answer = self._converse(tools)
        if answer.full or answer.error_type == "MemoryError":
            limit = f"the {self.settings.memory_mb} MiB that it may use"
            raise StepLost("MemoryError", f"the code filled {limit}", answer.output)
        if answer.kind == "syntax":  # nothing ran: the copy is still of the present state
            self._asleep = kept
            return answer
        self._steps += 1
        if answer.kind != "submit":  # most often the end; if not, the next step asks for the copy
            self._request_copy()
        return answer

    def _send(self, message: dict[str, Any], **more: Any) -> None:
        assert self._channel is not None
        deadline = time.monotonic() + _SEND_SECONDS
        try:
            self._channel.send(message, deadline=deadline, **more)
        except OSError as error:
            raise self._lost(error) from None

    def _lost(self, error: Exception, output: str = "") -> StepLost:
        if self._interrupted:
            return StepLost("Interrupted", "the step was interrupted", output)
        if isinstance(error, TimeoutError):
            seconds = self.settings.step_seconds or _SEND_SECONDS
            return StepLost("Timeout", f"the code ran longer than {seconds:g} seconds", output)
        return StepLost(
            "Crash",
            "the code crashed its Python process (recursion too deep in C code, or out of memory)",
        )

    def _bind(self, variables: Mapping[str, Any]) -> None:
        for name, value in variables.items():
            known = self._given.get(name)
            if known is None or not known.is_still(value):
                self._given[name] = binding.prepare(name, value)
                if known is not None:
                    known.close()
            if self._bound.get(name) is not self._given[name]:
                self._send_variable(name)

    def _send_variable(self, name: str) -> None:
        assert self._channel is not None
        variable = self._given[name]
        self._make_room(binding.map_bytes(variable.sizes))
        try:
            binding.send(self._channel, name, variable, time.monotonic() + _SEND_SECONDS)
        except OSError as error:
            raise self._lost(error) from None
        self._bound[name] = variable
        self._asleep = False

    def _make_room(self, size: int) -> None:
        """Raise the worker's address space by a map's size: `memory_mb` means private memory."""
        pid = getattr(self._handle, "pid", None)
        if not size or pid is None or "limits" not in self.settings.layers:
            return
        import resource

        with contextlib.suppress(OSError, ValueError):
            soft, hard = resource.prlimit(pid, resource.RLIMIT_AS)
            if soft != resource.RLIM_INFINITY:
                resource.prlimit(pid, resource.RLIMIT_AS, (soft + size, hard))

    def _converse(self, tools: ToolTable) -> Answer:
        """Serve the worker's calls until its answer; the clock stands while a tool runs."""
        left = self.settings.step_seconds
        while True:
            began = time.monotonic()
            message = self._receive(None if left is None else began + left)
            if message["op"] == "call":
                left = None if left is None else left - (time.monotonic() - began)
                self._serve(read_call(message), tools)
            elif message["op"] == "done":
                return read_answer(message, self.settings.max_output_chars)
            elif message["op"] == "partial" and self._interrupted:
                self._heard.set()
                raise self._lost(EOFError(), read_partial(message, self.settings.max_output_chars))
            elif message["op"] == "refused":
                self._bound.clear()  # whatever was refused, all is sent again next time
                raise InterpreterError(str(message.get("message"))[:2000])
            elif message["op"] == "broken":
                raise self._lost(EOFError())
            else:
                raise ProtocolError(f"an unknown operation {message['op'][:40]!r}")

    def _receive(self, deadline: float | None) -> dict[str, Any]:
        assert self._channel is not None
        try:
            return self._channel.receive(deadline)
        except TimeoutError as error:
            raise self._lost(error, self._last_words()) from None
        except (EOFError, OSError) as error:
            raise self._lost(error) from None

    def _last_words(self) -> str:
        """What the code of a step that is to be killed has printed, where the worker can say it."""
        assert self._channel is not None
        assert self._handle is not None
        self._handle.nudge()
        try:
            message = self._channel.receive(time.monotonic() + _NUDGE_SECONDS)
            return read_partial(message, self.settings.max_output_chars)
        except (ProtocolError, EOFError, OSError):
            return ""

    def _serve(self, call: ToolCall, tools: ToolTable) -> None:
        outcome = outcome_of(call, tools)
        try:
            self._send(outcome, convert=binding.to_plain)
        except (TypeError, ValueError, RecursionError) as error:
            text = f"{call.name}() gave a result that cannot enter the REPL: {error}"
            self._send(failed(type(error).__name__, text))

    # --- copies ---

    def _request_copy(self) -> None:
        if not self.settings.snapshots:
            return
        copy = self._freeze()
        if copy is not None:
            self._copies.append(copy)
            self._asleep = True
        while len(self._copies) > 2:
            self._copies.pop(0).discard()

    def _freeze(self) -> Copy | None:
        """Ask the worker for a copy of its state after what was sent so far."""
        if self._channel is None or not self.launcher.forks:
            return None
        ours, theirs = pair()
        copy = Copy(host_channel(ours), self._steps, dict(self._bound))
        try:
            with theirs:
                deadline = time.monotonic() + _SEND_SECONDS
                self._channel.send({"op": "snapshot"}, fds=[theirs.fileno()], deadline=deadline)
        except OSError:  # the worker is gone; the next step finds that out
            copy.discard()
            return None
        return copy

    def _rolled_back(self, lost: StepLost) -> CodeFailed:
        """Restore a state; the error that tells the model about it."""
        state = self._recover()
        text = f"{lost.text}; {state}"
        return CodeFailed(text, output=lost.output, error_type=lost.kind, line=None)

    def _abandon(self) -> None:
        """End a step because of what the host's own side raised."""
        with contextlib.suppress(InterpreterError):
            self._recover()

    def _recover(self) -> str:
        """Replace the worker by its newest copy, else by a fresh one.

        Returns:
            What state there is now, for the model.

        Raises:
            InterpreterError: Not even a fresh worker starts.
        """
        self._drop_worker(group=not self._copies)
        self._interrupted = False
        steps = self._steps
        while self._copies:
            copy = self._copies.pop()
            if self._thaw(copy):
                break
        else:
            self._launch()
            self._bound, self._steps = {}, 0
        for copy in self._copies:
            copy.discard()
        self._copies.clear()
        self._rebind()
        self._asleep = False
        if self._steps:
            self._request_copy()
        return _state(steps, self._steps)

    def _thaw(self, copy: Copy) -> bool:
        """Wake a copy and make it the worker."""
        deadline = time.monotonic() + _THAW_SECONDS
        handle: Handle | None = None
        try:
            handle = self.launcher.identify(copy.channel, deadline)
            good = copy.channel.receive(deadline)["op"] == "frozen"
            copy.channel.send({"op": "thaw"}, deadline=deadline)
            good = good and copy.channel.receive(deadline)["op"] == "thawed"
        except (ProtocolError, EOFError, OSError, InterpreterError):
            good = False
        if not good:
            if handle is not None:
                handle.kill()
            copy.discard()
            return False
        with self._lock:
            self._channel, self._handle = copy.channel, handle
        self._bound, self._steps = dict(copy.bound), copy.steps
        return True

    def _rebind(self) -> None:
        try:
            for name, variable in self._given.items():
                if self._bound.get(name) is not variable:
                    self._send_variable(name)
        except StepLost as lost:
            raise self._end(f"the fresh worker is gone: {lost.text}") from None

    def branch(self) -> "Session":
        """An independent copy of this session in its present state.

        Raises:
            InterpreterError: There are no snapshots here, or the copy cannot be made.
        """
        self.start()
        copy = self._freeze()
        if copy is None:
            raise InterpreterError("this REPL cannot leave copies here, so it cannot branch")
        twin = Session(self.launcher, self.settings)
        self._branched = twin._branched = True
        twin.report = dict(self.report)
        if not twin._thaw(copy):
            raise InterpreterError("the copy for the branch could not be made")
        twin._given = {name: variable.duplicate() for name, variable in self._given.items()}
        twin._bound = {
            name: twin._given[name] for name, v in copy.bound.items() if self._given.get(name) is v
        }
        return twin


def _state(before: int, now: int) -> str:
    if now == before and now:
        return "the REPL was rolled back to its state before this step"
    if before == 0:
        return "the REPL was started anew, as before this step"
    if now:
        return f"the REPL was rolled back to its state after step {now} of {before}"
    return (
        "the REPL was started anew: the given variables are there, those that code defined are gone"
    )


_sessions: "weakref.WeakSet[Session]" = weakref.WeakSet()


def _forget_sessions() -> None:
    for session in list(_sessions):
        session.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_sessions)
