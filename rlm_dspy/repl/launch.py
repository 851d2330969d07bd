"""Starting workers: from the fork server where the platform has what it needs, by exec elsewhere.

One fork server a host process (two, where some sessions go without own namespaces), started at the
first need by exec of the same interpreter with an empty environment, and again if it is gone.
After os.fork the child forgets the server and starts its own.
"""

import atexit
import contextlib
import functools
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Protocol

from rlm_dspy.dspy_errors import InterpreterError
from rlm_dspy.repl.isolation import ENVIRONMENT
from rlm_dspy.repl.processes import ChildHandle, Handle, identify
from rlm_dspy.repl.protocol import FROM_WORKER, TO_WORKER, Channel
from rlm_dspy.repl.versions import untried

# Seconds until a worker must be there: a cold start imports everything first, on a busy machine
# slowly.
START_SECONDS = 60.0
_END_SECONDS = 10.0

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from rlm_dspy.repl import server; server.{call}"
)


class Launcher(Protocol):
    """A way to start workers."""

    forks: bool  # whether its workers can leave snapshots

    def launch(self, start: dict[str, Any]) -> tuple[Channel, Handle]:
        """Start a worker; it will say "ready" or close the connection."""
        ...

    def identify(self, channel: Channel, deadline: float) -> Handle:
        """The process that wrote the next frame of this connection."""
        ...


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
    if os.name != "posix":
        raise InterpreterError("the REPL's worker needs a POSIX system: Linux, macOS or WSL")
    if why := untried():
        raise InterpreterError(why)
    if not sys.executable:
        raise InterpreterError("sys.executable is empty: no interpreter to start the REPL with")
    root = str(Path(__file__).resolve().parents[2])
    path = json.dumps([root, *(entry for entry in sys.path if entry)])
    return subprocess.Popen(
        # As `-I`, which would also ignore the hash seed.
        [sys.executable, "-s", "-P", "-S", "-B", "-c", _BOOT.format(call=call), path],
        env=ENVIRONMENT,
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


@functools.cache
def can_fork() -> bool:
    """Whether the fork server works here: Linux, with pidfds and credentials on sockets."""
    if not sys.platform.startswith("linux") or not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:  # an old kernel, or a container that forbids it
        return False
    return hasattr(socket, "SO_PASSCRED")


_servers: dict[tuple[str, ...], ForkServer] = {}
_servers_lock = threading.Lock()
_exiting = threading.Event()


def _server(layers: tuple[str, ...]) -> ForkServer:
    if _exiting.is_set():
        raise InterpreterError("this process is exiting: no REPL can be started any more")
    with _servers_lock:
        server = _servers.get(layers)
        if server is not None and not server.alive():
            server.close()
            server = None
        if server is None:
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


def _exit() -> None:
    _exiting.set()
    stop_servers()


atexit.register(_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_servers)
