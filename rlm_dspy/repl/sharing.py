"""Buffers shared with a worker without a copy: sealed memory, mapped read-only.

The host writes each buffer once into an anonymous file (memfd) and seals it: nobody, the host
included, can change or shrink it afterwards, so the worker's map is safe from SIGBUS and needs no
second copy, and a fork of the worker shares it. Where the platform has no memfd, an unlinked
temporary file stands in (not sealed; only the host could change it).
"""

import mmap
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

# Offsets are multiples of this, so that a buffer can be cast to any item type.
_ALIGN = 64
_TEXT_STEP = 1 << 24


def seal(buffers: Sequence[Any]) -> tuple[int, list[int]]:
    """Copy buffers into one sealed anonymous file.

    Args:
        buffers: Bytes-like objects, or str (written as UTF-8, lone surrogates kept).

    Returns:
        The descriptor (the caller closes it) and each buffer's length in bytes.

    Raises:
        OSError: There is not enough memory, or no descriptor left.
    """
    number = _create()
    try:
        sizes = []
        for buffer in buffers:
            size = sum(_write(number, piece) for piece in _pieces(buffer))
            _write(number, memoryview(bytes(-size % _ALIGN)))
            sizes.append(size)
        if hasattr(os, "memfd_create"):
            import fcntl

            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
            fcntl.fcntl(number, fcntl.F_ADD_SEALS, seals)
    except BaseException:
        os.close(number)
        raise
    return number, sizes


def _create() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("rlm", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _pieces(buffer: Any) -> Iterator[memoryview]:
    if not isinstance(buffer, str):
        yield memoryview(buffer).cast("B")
        return
    for start in range(0, len(buffer), _TEXT_STEP):  # never a second whole copy of a large text
        yield memoryview(buffer[start : start + _TEXT_STEP].encode("utf-8", "surrogatepass"))


def _write(number: int, view: memoryview) -> int:
    done = 0
    while done < len(view):
        done += os.write(number, view[done : done + (1 << 30)])
    return done


def map_buffers(number: int, sizes: Sequence[int]) -> tuple[memoryview, ...]:
    """Map what `seal` made; the descriptor is closed.

    Args:
        number: The descriptor.
        sizes: Each buffer's length in bytes.

    Returns:
        One read-only view a buffer; the map lives as long as one of them.

    Raises:
        OSError: It cannot be mapped.
    """
    try:
        total = map_bytes(sizes)
        if total == 0:
            return tuple(memoryview(b"") for _ in sizes)
        whole = memoryview(mmap.mmap(number, total, mmap.MAP_SHARED, mmap.PROT_READ))
    finally:
        os.close(number)
    views, start = [], 0
    for size in sizes:
        views.append(whole[start : start + size])
        start += size + -size % _ALIGN
    return tuple(views)


def map_bytes(sizes: Sequence[int]) -> int:
    """How much address space the map of such buffers takes, in bytes."""
    return sum(size + -size % _ALIGN for size in sizes)
