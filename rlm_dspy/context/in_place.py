"""Large UTF-8 texts that stay in their files.

A large file whose bytes are valid UTF-8 is not copied: its text is read from where it lies whenever
a piece of it is wanted. It is checked and counted once, a window at a time. Whatever else it is
(another encoding, binary) is left to the readers.
"""

import codecs
from collections.abc import Callable, Iterable, Iterator
from heapq import nlargest
from pathlib import Path

from rlm_dspy.context.assembly import MOST_FILES
from rlm_dspy.context.blocks import Counts
from rlm_dspy.context.encodings import is_binary
from rlm_dspy.context.readers.base import Blob, Skipped
from rlm_dspy.context.sources import Source
from rlm_dspy.shared import PinnedFile, Stretch

# From this size on a file is read in place; what is smaller is copied, so that it cannot change
# under a run. Where copies would take very much room, smaller ones stay in place too. Bytes.
IN_PLACE_BYTES = 64 << 20
_LEAST_OF_MANY, _MANY_BYTES = 8 << 20, 1 << 30
# It fits into a core's cache: decoding is twice as fast then as with 1 MiB.
_WINDOW = 1 << 16


def staying(blobs: Iterable[Blob | Skipped]) -> set[Path]:
    """The files that stay where they are if they are plain text, since they are large.

    Each takes a descriptor: where very many files are large, the largest stay.

    Args:
        blobs: What is read together.
    """
    sizes = {
        blob.file: blob.size or 0
        for blob in blobs
        if isinstance(blob, Blob) and blob.file is not None
    }
    large = {file for file, size in sizes.items() if size >= IN_PLACE_BYTES}
    if sum(sizes.values()) < _MANY_BYTES:
        return large
    less = (file for file, size in sizes.items() if size >= _LEAST_OF_MANY)
    return large.union(nlargest(MOST_FILES, less, key=sizes.__getitem__))


def in_place(path: Path, tick: Callable[[int], None] | None = None) -> Source | None:
    """A UTF-8 text without its bytes; None where it is to be read instead.

    Args:
        path: A regular file.
        tick: Is told how many bytes have been looked at, now and then.

    Raises:
        ContextError: It changes while it is read.
        OSError: It cannot be read.
    """
    file = PinnedFile.open(path)
    start = len(codecs.BOM_UTF8) if file.read(0, 3) == codecs.BOM_UTF8 else 0
    if is_binary(file.read(start, start + _WINDOW)):
        return None
    try:
        counts = Counts.of(_checked(file, start, tick))
    except UnicodeDecodeError:
        return None
    size = file.size - start
    chars = size if counts.chars is None else sum(counts.chars)
    stretch = Stretch(file, start, size)
    return Source(stretch, metadata={"encoding": "utf-8"}, chars=chars, counts=counts)


def _checked(file: PinnedFile, start: int, tick: Callable[[int], None] | None) -> Iterator[bytes]:
    """The bytes of a file, a window at a time.

    Raises:
        UnicodeDecodeError: They are not UTF-8.
    """
    decode, held = codecs.getincrementaldecoder("utf-8")().decode, False
    for low in range(start, file.size, _WINDOW):
        piece = file.read(low, low + _WINDOW)
        if held or not piece.isascii():  # what is ASCII needs no decoding
            decode(piece)
            held = piece[-1] >= 0x80
        if tick is not None:
            tick(low - start + len(piece))
        yield piece
    decode(b"", final=True)
