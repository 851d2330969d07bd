"""Bytes that the host and its workers share without a copy: sealed memory, and files in place.

`SealedMemory` is written once into an anonymous file (memfd), sealed, and mapped read-only:
nobody, the host included, can change or shrink it afterwards, so a map is safe from SIGBUS and a
fork shares it. Where the platform has no memfd an unlinked temporary file stands in (not sealed;
only the host could change it).

`PinnedFile` is a file that stays where it is. It is read by position and never mapped: whoever cuts
it short or changes it meanwhile causes a `ContextError`, not the death of the process.

Both cross to a worker as a descriptor. `Joined` reads stretches of several as one; `Growing` makes
one or the other of bytes whose number is not known beforehand.
"""

import mmap
import os
import tempfile
import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, Self

from rlm_dspy.errors import ContextError

# Bytes kept in memory before a text moves to a file of its own.
IN_MEMORY_BYTES = 256 << 20
_TEXT_STEP = 1 << 24
_COPY_BYTES = 1 << 24


class SealedMemory:
    """Memory that nothing can change any more; the descriptor is this object's own.

    Args:
        number: The descriptor of sealed memory, from another `SealedMemory`.
        size: Its length in bytes.

    Attributes:
        view: Its bytes, read-only; the map lives as long as a view of it.

    Raises:
        OSError: It cannot be mapped.
    """

    stamp = None  # it cannot change
    name = ""

    def __init__(self, number: int, size: int):
        self.number = number
        self.size = size
        self._closer = weakref.finalize(self, os.close, number)
        self._closer.atexit = False
        if size:
            self.view = memoryview(mmap.mmap(number, size, mmap.MAP_SHARED, mmap.PROT_READ))
        else:
            self.view = memoryview(b"")

    @classmethod
    def of(cls, pieces: Iterable[Any]) -> Self:
        """Sealed memory with these pieces in it, one behind the other.

        Args:
            pieces: Bytes-like objects, or str (written as UTF-8, lone surrogates kept).

        Raises:
            OSError: There is not enough memory, or no descriptor left.
        """
        number = _create()
        try:
            size = sum(_write(number, view) for piece in pieces for view in _views(piece))
            _seal(number)
        except BaseException:
            os.close(number)
            raise
        return cls(number, size)

    def read(self, low: int, high: int) -> bytes:
        """The bytes from `low` up to `high`."""
        return bytes(self.view[low:high])


class PinnedFile:
    """A file that is read where it is; the descriptor is this object's own.

    Args:
        number: The descriptor, open for reading.
        stamp: Size in bytes and time of the last change in ns, as they must stay.
        name: The file as an error names it.
    """

    view = None  # what is never mapped has none

    def __init__(self, number: int, stamp: tuple[int, int], name: str):
        self.number = number
        self.stamp = stamp
        self.name = name
        self.size = stamp[0]
        self._closer = weakref.finalize(self, os.close, number)
        self._closer.atexit = False

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """A file by its path.

        Raises:
            OSError: It cannot be opened.
        """
        return cls.of(os.open(path, os.O_RDONLY | os.O_CLOEXEC), str(path))

    @classmethod
    def of(cls, number: int, name: str) -> Self:
        """A file by a descriptor, which belongs to the result.

        Args:
            number: The descriptor, open for reading.
            name: The file as an error names it.
        """
        return cls(number, _stamp(number), name)

    def read(self, low: int, high: int) -> bytes:
        """The bytes from `low` up to `high`.

        Raises:
            ContextError: The file is not what it was.
        """
        pieces, at, high = [], low, min(high, self.size)
        while at < high and (piece := os.pread(self.number, high - at, at)):
            pieces.append(piece)
            at += len(piece)
        if at < high or _stamp(self.number) != self.stamp:
            raise ContextError(
                f"{self.name}: changed while it was in use, so its text cannot be relied on. Run "
                "again, on a copy if the file is still being written.",
                path=self.name,
            )
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


Shared = SealedMemory | PinnedFile


class Stretch(NamedTuple):
    """A part of what is shared.

    Attributes:
        shared: What it is a part of.
        start: Where it starts there, in bytes.
        size: Its length in bytes.
    """

    shared: Shared
    start: int
    size: int


class Joined:
    """Stretches, one behind the other, as if they were one piece.

    Args:
        stretches: At least one.
    """

    view = None

    def __init__(self, stretches: Sequence[Stretch]):
        self.stretches = tuple(stretches)
        self._starts = [0, *accumulate(stretch.size for stretch in self.stretches)]
        self.size = self._starts[-1]

    def read(self, low: int, high: int) -> bytes:
        """The bytes from `low` up to `high`.

        Raises:
            ContextError: A file is not what it was.
        """
        pieces, high = [], min(high, self.size)
        number = bisect_right(self._starts, low) - 1
        while low < high:
            stretch, begins = self.stretches[number], self._starts[number]
            stop = min(high, begins + stretch.size)
            offset = stretch.start - begins
            pieces.append(stretch.shared.read(low + offset, stop + offset))
            low, number = stop, number + 1
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def received(number: int, size: int, stamp: Any, name: str) -> Shared:
    """What another process shared, by its descriptor, which belongs to the result.

    Args:
        number: The descriptor.
        size: Its length in bytes.
        stamp: The stamp of a file as a sequence; None: it is sealed memory.
        name: The file as an error names it.
    """
    if stamp is None:
        return SealedMemory(number, size)
    return PinnedFile(number, (int(stamp[0]), int(stamp[1])), name)


class Growing:
    """Bytes that are being written, in memory up to a size and in a file beyond it.

    Args:
        folder: Gives the folder for the file, which has no name there and goes with the result.
        limit: Bytes kept in memory.
    """

    def __init__(self, folder: Callable[[], Path], limit: int = IN_MEMORY_BYTES):
        self.size = 0
        self._folder = folder
        self._limit = limit
        self._number = _create()
        self._path: Path | None = None

    def write(self, piece: Any) -> None:
        """Add a piece: bytes-like.

        Raises:
            OSError: There is no room for it.
        """
        if self._path is None and self.size + len(piece) > self._limit:
            self._move()
        self.size += _write(self._number, memoryview(piece).cast("B"))

    def _move(self) -> None:
        folder = self._folder()
        folder.mkdir(parents=True, exist_ok=True)
        number, path = tempfile.mkstemp(prefix="text-", dir=folder)
        memory, self._number, self._path = self._number, number, Path(path)
        try:
            os.lseek(memory, 0, os.SEEK_SET)
            while piece := os.read(memory, _COPY_BYTES):
                _write(number, memoryview(piece))
        finally:
            os.close(memory)

    def finish(self) -> Shared:
        """What was written, for good."""
        number, self._number = self._number, -1
        if self._path is None:
            _seal(number)
            return SealedMemory(number, self.size)
        os.close(number)
        try:  # opened again, so that no process holds a descriptor that can write
            return PinnedFile.open(self._path)
        finally:
            self._path.unlink()

    def drop(self) -> None:
        """Give up what was written; after `finish` nothing happens."""
        if self._number >= 0:
            os.close(self._number)
            self._number = -1
            if self._path is not None:
                self._path.unlink()


def _stamp(number: int) -> tuple[int, int]:
    status = os.fstat(number)
    return status.st_size, status.st_mtime_ns


def _create() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("rlm", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _seal(number: int) -> None:
    if hasattr(os, "memfd_create"):
        import fcntl

        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
        fcntl.fcntl(number, fcntl.F_ADD_SEALS, seals)


def _views(piece: Any) -> Iterator[memoryview]:
    if not isinstance(piece, str):
        yield memoryview(piece).cast("B")
        return
    for start in range(0, len(piece), _TEXT_STEP):  # never a second whole copy of a large text
        yield memoryview(piece[start : start + _TEXT_STEP].encode("utf-8", "surrogatepass"))


def _write(number: int, view: memoryview) -> int:
    done = 0
    while done < len(view):
        done += os.write(number, view[done : done + (1 << 30)])
    return done
