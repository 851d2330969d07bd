"""Starting workers: from the fork server where the platform has what it needs, by exec elsewhere.
 One fork server a host process (two, where some sessions go without own namespaces), started at
the first need by exec of the same interpreter with an empty environment, and again if it is gone.
A worker's pid is what the kernel attests on its connection (SCM_CREDENTIALS), never what the
worker says, and it is killed through a pidfd, so a recycled pid is never hit. After os.fork the
child forgets the server and starts its own.
"""

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Protocol

from rlm_dspy.dspy_errors import InterpreterError
from rlm_dspy.repl.protocol import FROM_WORKER, NUDGE, TO_WORKER, Channel

# Seconds until a worker must be there: a cold start imports everything first, on a busy machine
# slowly.
START_SECONDS = 60.0
_END_SECONDS = 10.0

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from rlm_dspy.repl import server; server.{call}"
)
_CREDENTIALS = struct.Struct("3i")


class Handle(Protocol):
    """A process that can be killed."""

    def kill(self) -> None:
        """End it now; more than once is fine."""
        ...

    def kill_group(self) -> None:
        """End it and every process it started, frozen copies included."""
        ...

    def nudge(self) -> None:
        """Ask it to send what its code has printed so far."""
        ...

    def forget(self) -> None:
        """In a forked child: let go of what is the parent's, without harm."""
        ...


class Launcher(Protocol):
    """A way to start workers."""

    forks: bool  # whether its workers can leave snapshots

    def launch(self, start: dict[str, Any]) -> tuple[Channel, Handle]:
        """Start a worker; it will say "ready" or close the connection."""
        ...

    def identify(self, channel: Channel, deadline: float) -> Handle:
        """The process that wrote the next frame of this connection."""
        ...


class PidHandle:
    """A process by pidfd, which never means another process.

    Args:
        pid: Its pid, while it lives.
    """

    def __init__(self, pid: int):
        self.pid = pid
        self._number = os.pidfd_open(pid)

    def kill(self) -> None:
        """End it now and let go of it."""
        number, self._number = self._number, -1
        if number >= 0:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(number, signal.SIGKILL)
            os.close(number)

    def kill_group(self) -> None:
        """End it and every process it started: none can leave the group, filtered as they are."""
        alive = select.poll()
        alive.register(self._number, select.POLLIN)
        # While this process lives, its group's number cannot mean another group.
        if self._number >= 0 and not alive.poll(0):
            with contextlib.suppress(OSError):
                group = os.getpgid(self.pid)
                if group not in (os.getpgrp(), 0, 1):
                    os.killpg(group, signal.SIGKILL)
        self.kill()

    def nudge(self) -> None:
        """Ask it to send what its code has printed so far."""
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self._number, NUDGE)

    def forget(self) -> None:
        """Let go of it without harm."""
        number, self._number = self._number, -1
        if number >= 0:
            os.close(number)


def host_channel(sock: socket.socket) -> Channel:
    """The host's end of a connection."""
    return Channel(sock, limit_in=FROM_WORKER, limit_out=TO_WORKER)


def pair() -> tuple[socket.socket, socket.socket]:
    """A new connection: the host's end, and the worker's end."""
    host, worker = socket.socketpair()
    if hasattr(socket, "SO_PASSCRED"):
        host.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    return host, worker


class ForkServer:
    """The host's side of one fork server process.

    Args:
        layers: Isolation layers that the server itself applies ("namespaces" or nothing).
    """

    forks = True

    def __init__(self, layers: tuple[str, ...]):
        self._lock = threading.Lock()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the server
        ours, theirs = socket.socketpair()
        with theirs:
            call = f"main({theirs.fileno()}, {list(layers)!r})"
            self.process = _execute(call, theirs, self._errors)
        self._channel = host_channel(ours)

    def alive(self) -> bool:
        """Whether it can still be asked."""
        return self.process.poll() is None

    def launch(self, start: dict[str, Any]) -> tuple[Channel, Handle]:
        """Fork a worker.

        Raises:
            OSError: The server is gone.
            EOFError: It could not fork.
            TimeoutError: Nothing came in time.
        """
        ours, theirs = pair()
        channel = host_channel(ours)
        deadline = time.monotonic() + START_SECONDS
        try:
            with theirs, self._lock:
                message = {"op": "start", **start, "parent": self.process.pid}
                self._channel.send(message, fds=[theirs.fileno()], deadline=deadline)
            return channel, self.identify(channel, deadline)
        except BaseException:
            channel.close()
            raise

    def identify(self, channel: Channel, deadline: float) -> Handle:
        """The process that wrote the next frame, as the kernel attests it."""
        return identify(channel, deadline)

    def ended(self) -> bool:
        """Whether it is gone, given a moment to go."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1.0)
        return not self.alive()

    def complaint(self) -> str:
        """What the process wrote to its error stream, last lines."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()[-2000:]

    def close(self) -> None:
        """End the server and all workers it started."""
        self._channel.close()
        try:
            self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._errors.close()

    def forget(self) -> None:
        """In a forked child: let go of what is the parent's."""
        self._channel.close()
        self._errors.close()
        self.process.returncode = 0  # the child has no such child; keeps Popen from complaining


def identify(channel: Channel, deadline: float) -> PidHandle:
    """The process that wrote the next unread frame of a connection.

    Raises:
        EOFError: The connection is closed.
        TimeoutError: Nothing came until the deadline.
        InterpreterError: The kernel attests no such process.
    """
    wait = select.poll()
    wait.register(channel.sock, select.POLLIN)
    if not wait.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimeoutError("the worker does not start")
    room = socket.CMSG_SPACE(_CREDENTIALS.size)
    channel.sock.settimeout(max(0.001, deadline - time.monotonic()))
    data, extra, _, _ = channel.sock.recvmsg(1, room, socket.MSG_PEEK)
    if not data:
        raise EOFError("the worker closed the connection")
    for level, kind, raw in extra:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            pid, _, _ = _CREDENTIALS.unpack(raw[: _CREDENTIALS.size])
            if pid > 1 and pid != os.getpid():
                try:
                    return PidHandle(pid)
                except ProcessLookupError:
                    raise EOFError("the worker is gone") from None
    raise InterpreterError("the kernel names no process for the worker's connection")


class ChildHandle:
    """A worker that is this process's own child.

    Args:
        process: The child.
    """

    def __init__(self, process: subprocess.Popen[bytes]):
        self.process = process
        self.pid = process.pid

    def kill(self) -> None:
        """End it now and reap it."""
        self.process.kill()
        self.process.wait()

    def kill_group(self) -> None:
        """End it and every process it started; it leads a session of its own."""
        if self.process.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
        self.kill()

    def nudge(self) -> None:
        """Ask it to send what its code has printed so far."""
        self.process.send_signal(NUDGE)

    def forget(self) -> None:
        """In a forked child: let go of what is the parent's."""
        self.process.returncode = 0


class Executor:
    """One exec a worker: slower to start, no snapshots; for platforms without the fork server."""

    forks = False

    def launch(self, start: dict[str, Any]) -> tuple[Channel, Handle]:
        """Execute a worker."""
        ours, theirs = pair()
        with theirs:
            process = _execute(f"main_alone({theirs.fileno()})", theirs, subprocess.DEVNULL)
        channel = host_channel(ours)
        channel.send({"op": "start", **start, "parent": None})
        return channel, ChildHandle(process)

    def identify(self, channel: Channel, deadline: float) -> Handle:
        """Not needed: there are no snapshots."""
        raise InterpreterError(f"{type(self).__name__} has no snapshots to identify")


def _execute(call: str, theirs: socket.socket, errors: Any) -> subprocess.Popen[bytes]:
    if not sys.executable:
        raise InterpreterError("sys.executable is empty: no interpreter to start the REPL with")
    root = str(Path(__file__).resolve().parents[2])
    path = json.dumps([root, *(entry for entry in sys.path if entry)])
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", "-c", _BOOT.format(call=call), path],
        env={},
        cwd="/",
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        start_new_session=True,
    )


class Default:
    """The fork server of this host process; exec where there is none.

    Args:
        namespaces: Whether workers are to live in own namespaces.
    """

    def __init__(self, *, namespaces: bool = True):
        self._layers = ("namespaces",) if namespaces else ()
        self.forks = can_fork()

    def launch(self, start: dict[str, Any]) -> tuple[Channel, Handle]:
        """Start a worker.

        Raises:
            InterpreterError: None can be started; the message says what the process printed.
        """
        if not can_fork():
            return Executor().launch(start)
        complaint = ""
        for _ in range(2):
            server = _server(self._layers)
            try:
                return server.launch(start)
            except (OSError, EOFError) as error:
                complaint = f"{error}\n{server.complaint()}".strip()
                if not server.ended():  # others live in it; this worker alone could not start
                    break
                _drop(self._layers, server)
        raise InterpreterError(f"the REPL's worker cannot be started: {complaint}")

    def identify(self, channel: Channel, deadline: float) -> Handle:
        """The process that wrote the next frame of this connection."""
        return identify(channel, deadline)


def can_fork() -> bool:
    """Whether the fork server works on this platform: Linux, with pidfds and credentials on
    sockets.
    """
    return (
        sys.platform.startswith("linux")
        and hasattr(os, "pidfd_open")
        and hasattr(socket, "SO_PASSCRED")
    )


_servers: dict[tuple[str, ...], ForkServer] = {}
_servers_lock = threading.Lock()


def _server(layers: tuple[str, ...]) -> ForkServer:
    with _servers_lock:
        server = _servers.get(layers)
        if server is None or not server.alive():
            server = _servers[layers] = ForkServer(layers)
        return server


def _drop(layers: tuple[str, ...], server: ForkServer) -> None:
    with _servers_lock:
        if _servers.get(layers) is server:
            del _servers[layers]
    server.close()


def stop_servers() -> None:
    """End the fork servers and all their workers; the next launch starts a new one."""
    with _servers_lock:
        servers = list(_servers.values())
        _servers.clear()
    for server in servers:
        server.close()


def _forget_servers() -> None:
    global _servers_lock
    _servers_lock = threading.Lock()
    for server in _servers.values():
        server.forget()
    _servers.clear()


atexit.register(stop_servers)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_servers)
