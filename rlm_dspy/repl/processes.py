"""Processes that the host can kill: a worker by pidfd, or its own child.

A worker's pid is what the kernel attests on its connection (SCM_CREDENTIALS), never what the worker
says, and it is killed through a pidfd, so a recycled pid is never hit.
"""

import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import time
from typing import Protocol

from rlm_dspy.dspy_errors import InterpreterError
from rlm_dspy.repl.protocol import NUDGE, Channel

_CREDENTIALS = struct.Struct("3i")


class Handle(Protocol):
    """A process that can be killed."""

    pid: int

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
        # While this process lives, its group's number cannot mean another group.
        if self._number >= 0 and not _is_readable(self._number):
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


class ChildHandle:
    """A worker that is this process's own child.

    Args:
        process: The child; it leads a session of its own.
    """

    def __init__(self, process: subprocess.Popen[bytes]):
        self.process = process
        self.pid = process.pid

    def kill(self) -> None:
        """End it now and reap it."""
        self.process.kill()
        self.process.wait()

    def kill_group(self) -> None:
        """End it and every process it started."""
        if self.process.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
        self.kill()

    def nudge(self) -> None:
        """Ask it to send what its code has printed so far."""
        self.process.send_signal(NUDGE)

    def forget(self) -> None:
        """In a forked child: let go of what is the parent's."""
        self.process.returncode = 0  # the child has no such child; keeps Popen from complaining


def identify(channel: Channel, deadline: float) -> PidHandle:
    """The process that wrote the next unread frame of a connection.

    Args:
        channel: The connection; nothing is read from it.
        deadline: `time.monotonic()` value.

    Raises:
        EOFError: The connection is closed, or the process is gone.
        TimeoutError: Nothing came until the deadline.
        InterpreterError: The kernel attests no such process.
    """
    if not _is_readable(channel.sock.fileno(), deadline):
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


def _is_readable(number: int, deadline: float = 0.0) -> bool:
    waiting = select.poll()
    waiting.register(number, select.POLLIN)
    return bool(waiting.poll(max(0.0, deadline - time.monotonic()) * 1000))
