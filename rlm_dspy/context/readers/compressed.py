"""One file packed by gzip, bzip2, xz or zstd: what is inside, as if it lay there unpacked.

Text (a rotated log) and tar archives are unpacked as a stream, however long they are; anything else
is unpacked into memory, up to the limit on members.
"""

import bz2
import gzip
import io
import lzma
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, BinaryIO, cast

from rlm_dspy.context.kinds import TEXT_KINDS, kind_of
from rlm_dspy.context.readers.base import Blob, needed
from rlm_dspy.context.readers.limits import Allowance, Exhausted, Unreadable

_STEP_BYTES = 1 << 20
_SUFFIXES = {".tgz": ".tar", ".tbz": ".tar", ".tbz2": ".tar", ".txz": ".tar", ".tzst": ".tar"}
_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zstd")


def read(blob: Blob, kind: str) -> Iterator[Blob]:
    """What is packed in a file.

    Args:
        blob: The file.
        kind: "gzip", "bzip2", "xz" or "zstd".
    """
    if "compressed" in blob.metadata:
        raise Unreadable("is compressed twice")
    unpack = _unpacker(kind)
    counted = _Counted(blob.allowance)
    inner = replace(
        blob,
        named=_unpacked_name(blob.named or blob.name),
        opener=lambda: cast(BinaryIO, Expanded(blob.opener, unpack, counted)),
        file=None,
        size=None,
        metadata={**blob.metadata, "compressed": kind},
    )
    if kind_of(inner) not in {*TEXT_KINDS, "tar"}:
        data = inner.read()
        inner = replace(inner, opener=lambda: io.BytesIO(data), size=len(data))
    yield inner


def _unpacked_name(name: str) -> str:
    for packed, suffix in _SUFFIXES.items():
        if name.lower().endswith(packed):
            return name[: -len(packed)] + suffix
    end = next((end for end in _PACKED if name.lower().endswith(end)), "")
    return name.removesuffix(name[len(name) - len(end) :]) if end else name


def _unpacker(kind: str) -> Callable[[Any], Any]:
    if kind == "zstd":
        module = "backports.zstd" if sys.version_info < (3, 14) else "compression.zstd"
        zstd = needed(module, "backports.zstd")
        # The window that a frame asks for is memory: 128 MiB is what `zstd --long=27` needs.
        options = {zstd.DecompressionParameter.window_log_max: 27}
        return lambda stream: zstd.open(stream, options=options)
    return {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}[kind]


class _Counted:
    """Counts what came out of one packed file, once, however often it is opened."""

    def __init__(self, allowance: Allowance):
        self.allowance = allowance
        self._furthest = 0

    def reach(self, position: int) -> None:
        if position > self._furthest:
            self.allowance.expand(position - self._furthest)
            self.allowance.check_time()
            self._furthest = position


class Expanded(io.RawIOBase):
    """The unpacked bytes of a stream, seekable and counted.

    Args:
        opener: Opens the packed bytes.
        unpack: Gives the stream of what they unpack to.
        counted: Where that is counted.
    """

    def __init__(
        self, opener: Callable[[], BinaryIO], unpack: Callable[[Any], Any], counted: _Counted
    ):
        self._opener = opener
        self._unpack = unpack
        self._counted = counted
        self._start()

    def _start(self) -> None:
        self._packed = self._opener()
        self._stream = self._unpack(self._packed)
        self._position = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always; going back means unpacking again from the start."""
        return True

    def tell(self) -> int:
        """The position, bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position, bytes from the start, from here or from the end (all is unpacked)."""
        if whence == io.SEEK_END:
            while self._next(_STEP_BYTES):
                pass
        target = offset + (0 if whence == io.SEEK_SET else self._position)
        if target < self._position:
            self._end()
            self._start()
        while self._position < target and self._next(target - self._position):
            pass
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Bytes from here on.

        Raises:
            Exhausted: They are more than a member may have, or than may come out in all.
        """
        most = self._counted.allowance.limits.member_bytes
        pieces, left = [], most + 1 if size < 0 else size
        while left > 0 and (piece := self._next(left)):
            pieces.append(piece)
            left -= len(piece)
            most -= len(piece)
            if most < 0:
                raise Exhausted(
                    f"expands to more than {self._counted.allowance.limits.member_bytes:,} bytes"
                )
        return b"".join(pieces)

    def readinto(self, buffer: Any) -> int:
        """As `io.RawIOBase.readinto`."""
        piece = self._next(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Close what is packed, too."""
        if not self.closed:
            self._end()
        super().close()

    def _end(self) -> None:
        self._stream.close()
        self._packed.close()

    def _next(self, size: int) -> bytes:
        """Some of the next bytes; none at the end.

        Raises:
            Exhausted: Too many came out.
        """
        piece = self._stream.read(min(size, _STEP_BYTES))
        self._position += len(piece)
        self._counted.reach(self._position)
        return piece
