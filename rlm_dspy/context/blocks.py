"""Characters and newlines of UTF-8 bytes, counted in blocks.

`Counts` is what one piece has in each of its blocks of 4 KiB, four bytes a block: a file's counts
are kept from one run to the next. `BlockIndex` adds up what a whole text has before each of its
blocks, so that any character or line is found by bisection and one block; `IndexBuilder` makes it
of the counts of the parts.
"""

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

BLOCK_BYTES = 4096
# The bytes that continue a character; deleting them leaves one byte a character.
CONTINUATION = bytes(range(0x80, 0xC0))


def characters_in(piece: bytes) -> int:
    """Characters that start in a piece of UTF-8 (which may begin or end within one)."""
    return len(piece) if piece.isascii() else len(piece.translate(None, CONTINUATION))


class Counts(NamedTuple):
    """What a piece of UTF-8 has in each of its blocks, of which the last may be shorter.

    Attributes:
        chars: Characters that start in each block; None: as many as it has bytes.
        lines: Newlines in each block.
    """

    chars: "array[int] | memoryview[int] | None"
    lines: "array[int] | memoryview[int]"

    @classmethod
    def of(cls, pieces: Iterable[bytes]) -> "Counts":
        """The counts of pieces that follow each other.

        Args:
            pieces: Each but the last as long as some whole blocks.
        """
        chars, lines, is_ascii = array("H"), array("H"), True
        for piece in pieces:
            is_ascii = is_ascii and piece.isascii()
            for start in range(0, len(piece), BLOCK_BYTES):
                block = piece[start : start + BLOCK_BYTES]
                chars.append(characters_in(block))
                lines.append(block.count(b"\n"))
        return cls(None if is_ascii else chars, lines)


class BlockIndex(NamedTuple):
    """What lies before each block of a text; the last number of each is that of the whole.

    Attributes:
        places: Bytes; None: the blocks are all of one length.
        chars: Characters; None: as many as bytes, or not known.
        lines: Newlines; None: not known.
    """

    places: "array[int] | memoryview[int] | None" = None
    chars: "array[int] | memoryview[int] | None" = None
    lines: "array[int] | memoryview[int] | None" = None

    def packed(self) -> bytes:
        """As bytes, for another process."""
        lengths = array("Q", [0 if each is None else len(each) for each in self])
        numbers = (memoryview(each).tobytes() for each in self if each is not None)
        return b"".join((lengths.tobytes(), *numbers))

    @classmethod
    def unpacked(cls, data: Any) -> "BlockIndex":
        """From what `packed` gave, in any bytes-like object, which is not copied."""
        numbers = memoryview(data).cast("B").cast("Q")
        at, parts = 3, []
        for length in numbers[:at]:
            parts.append(numbers[at : at + length] if length else None)
            at += length
        return cls(*parts)


class IndexBuilder:
    """Makes the index of a text whose parts come one by one."""

    def __init__(self) -> None:
        self.size = self.chars = 0
        self._newlines = 0
        self._places, self._chars, self._lines = array("Q"), array("Q"), array("Q")
        # Whether the last block is one of small parts, which may grow.
        self._open = False

    def add(self, size: int, counts: Counts) -> None:
        """Add a part that was counted.

        Args:
            size: Its length in bytes.
            counts: Its counts.
        """
        if not size:
            return
        self._places.extend(range(self.size, self.size + size, BLOCK_BYTES))
        if counts.chars is None:
            self._chars.extend(range(self.chars, self.chars + size, BLOCK_BYTES))
            self.chars += size
        else:
            self.chars = _extend(self._chars, counts.chars, self.chars)
        self._newlines = _extend(self._lines, counts.lines, self._newlines)
        self.size += size
        self._open = False

    def add_bytes(self, part: bytes) -> None:
        """Add a part by its bytes; small ones share a block."""
        if self._open and self.size + len(part) - self._places[-1] <= BLOCK_BYTES:
            self.size += len(part)
            self.chars += characters_in(part)
            self._newlines += part.count(b"\n")
        else:
            self.add(len(part), Counts.of([part]))
            self._open = bool(part)

    def finish(self) -> BlockIndex:
        """The index of the whole text."""
        for numbers, total in (
            (self._places, self.size),
            (self._chars, self.chars),
            (self._lines, self._newlines),
        ):
            numbers.append(total)
        is_ascii = self.chars == self.size
        return BlockIndex(self._places, None if is_ascii else self._chars, self._lines)


def _extend(totals: "array[int]", counts: Sequence[int], before: int) -> int:
    """Put what lies before each block behind `totals`; returns what lies before the next one."""
    totals.extend(accumulate(counts, initial=before))
    return totals.pop()
