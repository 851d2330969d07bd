"""The worker: the process that runs model code, and the thread of it that can freeze a copy.

Two threads share one Python heap. The model thread speaks with the host and runs code
(`model_thread`); its system call filter forbids fork, clone and exec. The control thread never runs
model code; while the model thread is parked it may fork. Such a fork (a snapshot) holds the control
thread alone: it waits, frozen, on a connection of its own, and when the host thaws it, starts a new
model thread over the same namespace.

Promises: the process ends when its host does, and no copy of it differs from what it was. Nothing
in here is trusted by the host, so nothing in here is checked for the host's sake.
"""

import contextlib
import gc
import importlib
import os
import signal
import socket
import threading
import warnings
from collections.abc import Callable
from typing import Any

from rlm_dspy import wire
from rlm_dspy.repl import chance, isolation, limits, output
from rlm_dspy.repl.model_thread import ModelThread
from rlm_dspy.repl.namespace import Namespace
from rlm_dspy.repl.protocol import FROM_WORKER, NUDGE, TO_WORKER, Channel


def channel_of(number: int) -> Channel:
    """The worker's end of a connection."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=number)
    return Channel(sock, limit_in=TO_WORKER, limit_out=FROM_WORKER, takes_fds=True)


def preload() -> None:
    """Import what no locked-down process could import any more; modules that are absent are
    skipped.
    """
    for name in wire.WORKER_MODULES:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)


class Worker:
    """One session's process.

    Args:
        number: The connection's descriptor.
        start: The host's start message: "layers", "memory_mb", "cpu_seconds", "max_output_chars",
            "seed", "parent" (pid, or None where its death is not to be watched).
        report: What is known of the layers already.
        namespace: Makes the namespace; as `Namespace`.
    """

    def __init__(
        self,
        number: int,
        start: dict[str, Any],
        report: isolation.Report,
        namespace: Callable[..., Any] = Namespace,
    ):
        self.start = start
        self.report = report
        cut = int(start["max_output_chars"])
        self.model = ModelThread(channel_of(number), cut, namespace, self._ask)
        wire.call_host = self.model.call_tool
        self._snapshot, self._room = -1, 0

    def serve(self) -> None:
        """Be the control thread, for good."""
        warnings.simplefilter("ignore")
        gc.disable()  # finalizers are model code: the namespace turns it on for each step
        if self.start["seed"] is not None:
            chance.follow(self.start["seed"])
        signal.signal(NUDGE, self._say_what_was_printed)
        given = limits.Limits(self.start["memory_mb"], self.start["cpu_seconds"])
        layers = self.start["layers"]
        parent = self.start["parent"]
        number = self.model.channel.sock.fileno()
        self.report |= isolation.lock_down(number, given, layers, parent=parent)
        hello: dict[str, Any] = {"op": "ready", "layers": self.report}
        while True:
            self._start_model_thread(hello)
            self._serve_model_thread()
            hello = {"op": "thawed"}

    # --- what the model thread calls ---

    def _ask(self, *, room: int = 0, snapshot: int = -1) -> None:
        """Have the control thread make room for a map of so many bytes, else leave a copy."""
        self._room, self._snapshot = room, snapshot
        self._wanted.release()
        self._taken.acquire()

    def _enter_model_thread(self) -> None:
        self._taken.acquire()
        if self.report.get("seccomp") is True:
            isolation.restrict_thread(self.start["layers"])

    # --- the control thread ---

    def _start_model_thread(self, hello: dict[str, Any]) -> None:
        self._wanted, self._taken, self.model.sending = (threading.Lock() for _ in range(3))
        self._wanted.acquire()
        self._taken.acquire()
        threading.stack_size(limits.STACK_BYTES)
        thread = threading.Thread(
            target=self.model.serve, args=(hello, self._enter_model_thread), daemon=True
        )
        with self._processes():
            thread.start()
        self._taken.release()  # it runs nothing of the model's before processes are closed again

    def _serve_model_thread(self) -> None:
        """Do what the model thread may not; returns in a thawed copy only."""
        while True:
            self._wanted.acquire()
            if self._room:
                self._make_room()
            elif self._fork(self._snapshot):
                self._freeze()
                return
            else:
                os.close(self._snapshot)
            self._taken.release()

    def _make_room(self) -> None:
        """Raise the address space by a map's size: the limit means private memory."""
        if self.report.get("limits") is True:
            with contextlib.suppress(OSError, ValueError):
                limits.add_address_space(self._room)

    def _fork(self, number: int) -> bool:
        """Fork; True in the copy. A fork that fails shows to the host as the connection's end."""
        state = chance.state()
        pid = -1
        with self._processes(), contextlib.suppress(OSError):
            pid = os.fork()
        if pid != 0:
            return False
        chance.restore(state)  # fork reseeds it, and a snapshot is to be the same state
        self.model.channel.close()
        self.model.channel = channel_of(number)
        return True

    def _freeze(self) -> None:
        try:
            self.model.channel.send({"op": "frozen"})
            message = self.model.channel.receive()
        except (EOFError, OSError):
            os._exit(0)
        if message["op"] != "thaw":
            os._exit(0)
        if self.start["parent"] is not None and os.getppid() == self.start["parent"]:
            with contextlib.suppress(OSError):
                isolation.die_with(self.start["parent"])

    @contextlib.contextmanager
    def _processes(self) -> Any:
        limited = "limits" in self.start["layers"]
        if limited:
            limits.allow_processes(allowed=True)
        try:
            yield
        finally:
            if limited:
                limits.allow_processes(allowed=False)

    def _say_what_was_printed(self, *_: object) -> None:
        gc.disable()  # this runs in the control thread, where no finalizer of model code may
        # The model thread may be in the middle of a frame; then that frame is its last word.
        if self.model.sending.acquire(blocking=False):
            with contextlib.suppress(BaseException):
                self.model.channel.send({"op": "partial", "output": output.printed()})
            self.model.sending.release()
