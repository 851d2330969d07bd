"""Frames between the host and a worker: a length, then one value of `values`.

A frame is four bytes (big-endian length) and that many bytes of one encoded dict whose "op" is a
str. File descriptors ride with the first byte of a frame (SCM_RIGHTS), host to worker only: the
host never asks for any, so the kernel drops what a worker tries to pass. Every wait takes a
deadline; a length beyond the limit, a half frame or bytes that do not decode raise
`ProtocolError`, and the other side's end raises EOFError. What the fields of a message mean is
checked by who reads it.
"""

import array
import os
import select
import signal
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from rlm_dspy.repl.values import ProtocolError, decode, encode

__all__ = ["FROM_WORKER", "NUDGE", "TO_WORKER", "Channel", "ProtocolError", "leaves_copy"]

# The signal by which the host asks a worker that is about to be killed for what its code printed.
NUDGE = getattr(signal, "SIGUSR1", signal.SIGTERM)  # Windows has none

# Bytes in one frame, by direction: the worker is not trusted with the host's memory.
FROM_WORKER = 32 << 20
TO_WORKER = 256 << 20

_HEAD = struct.Struct(">I")
_CHUNK = 1 << 16
_MAX_FDS = 128


def leaves_copy(kind: str, error_type: str, *, full: bool) -> bool:
    """Whether a worker leaves a copy after a step: both sides go by it.

    Args:
        kind: How the step ended. A syntax error changed nothing, and SUBMIT is most often the end.
        error_type: The exception's class name, where it failed.
        full: Whether its memory is used up: such a state is not worth keeping.
    """
    return kind not in ("syntax", "submit") and not full and error_type != "MemoryError"


class Channel:
    """One end of a stream socket that speaks frames.

    Args:
        sock: The connected socket; the channel owns it.
        limit_in: Largest frame that is accepted, in bytes.
        limit_out: Largest frame that is sent, in bytes.
        takes_fds: Whether file descriptors are accepted (they collect in `fds`, oldest first).
    """

    def __init__(
        self, sock: socket.socket, *, limit_in: int, limit_out: int, takes_fds: bool = False
    ):
        self.sock = sock
        self.limit_in = limit_in
        self.limit_out = limit_out
        self.takes_fds = takes_fds
        self.fds: deque[int] = deque()
        self._buffer = bytearray()

    def send(
        self,
        message: dict[str, Any],
        *,
        fds: Sequence[int] = (),
        deadline: float | None = None,
        convert: Callable[[Any], Any] | None = None,
    ) -> None:
        """Send one message.

        Args:
            message: Plain data; "op" names what it is.
            fds: Descriptors that go with it.
            deadline: `time.monotonic()` value by which it must have left; None waits without limit.
            convert: Makes plain data of other values, as in `values.encode`.

        Raises:
            TypeError: A value that is not plain data.
            ValueError: A value beyond the limits; nothing was sent.
            TimeoutError: The other side does not read.
            OSError: The other side is gone.
        """
        body = encode(message) if convert is None else encode(message, convert)
        self.send_encoded(body, fds=fds, deadline=deadline)

    def send_encoded(
        self, body: bytes, *, fds: Sequence[int] = (), deadline: float | None = None
    ) -> None:
        """Send a message that is encoded already.

        Args:
            body: What `encode` made of it.
            fds: As for `send`.
            deadline: As for `send`.

        Raises:
            ValueError: It is over the limit; nothing was sent.
            TimeoutError: The other side does not read.
            OSError: The other side is gone.
        """
        if len(body) > self.limit_out:
            raise ValueError(f"{len(body):,} bytes are more than the limit of {self.limit_out:,}")
        frame = _HEAD.pack(len(body)) + body
        self._wait_until(deadline)
        sent = 0
        for first in range(0, len(fds), _MAX_FDS):  # so many go with one byte; the rest behind it
            some = fds[first : first + _MAX_FDS]
            last = first + _MAX_FDS >= len(fds)
            piece = frame[sent:] if last else frame[sent : sent + 1]
            sent += socket.send_fds(self.sock, [piece], some)
        if sent < len(frame):
            self.sock.sendall(memoryview(frame)[sent:] if sent else frame)

    def receive(self, deadline: float | None = None) -> dict[str, Any]:
        """Wait for the next message.

        Args:
            deadline: `time.monotonic()` value; None waits without limit.

        Returns:
            A dict with a str under "op"; its other entries are unchecked plain data.

        Raises:
            ProtocolError: A frame that is too long or does not decode.
            EOFError: The other side has closed.
            TimeoutError: Nothing, or half a frame, until the deadline.
        """
        # Nothing is taken off before the frame is whole, so a deadline in its middle loses nothing.
        self._fill(_HEAD.size, deadline)
        (length,) = _HEAD.unpack_from(self._buffer)
        if length > self.limit_in:
            raise ProtocolError(f"a frame of {length:,} bytes; the limit is {self.limit_in:,}")
        self._fill(_HEAD.size + length, deadline)
        body = bytes(memoryview(self._buffer)[_HEAD.size : _HEAD.size + length])
        del self._buffer[: _HEAD.size + length]
        message = decode(body)
        if type(message) is not dict or type(message.get("op")) is not str:
            raise ProtocolError("a message without an operation")
        return message

    def _fill(self, count: int, deadline: float | None) -> None:
        while len(self._buffer) < count:
            self._wait_until(deadline)
            chunk = self._read(max(_CHUNK, count - len(self._buffer)))
            if not chunk:
                raise EOFError("the other side closed the connection")
            self._buffer += chunk

    def _wait_until(self, deadline: float | None) -> None:
        # Only where it changes: a locked-down worker may not set its socket's mode.
        if deadline is not None or self.sock.gettimeout() is not None:
            self.sock.settimeout(_left(deadline))

    def _read(self, size: int) -> bytes:
        try:
            if not self.takes_fds:
                return self.sock.recv(min(size, 1 << 24))
            room = socket.CMSG_SPACE(_MAX_FDS * array.array("i").itemsize)
            data, extra, _, _ = self.sock.recvmsg(min(size, 1 << 24), room)
        except ConnectionResetError:
            return b""
        for level, kind, raw in extra:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                numbers = array.array("i")
                numbers.frombytes(raw[: len(raw) - len(raw) % numbers.itemsize])
                self.fds.extend(numbers)
        return data

    def has_more(self) -> bool:
        """Whether something waits to be received."""
        return bool(self._buffer or select.select([self.sock], [], [], 0)[0])

    def close(self) -> None:
        """Close the socket and the descriptors that nobody took."""
        self.sock.close()
        while self.fds:
            os.close(self.fds.popleft())


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left
