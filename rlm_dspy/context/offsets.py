"""Characters of a UTF-8 buffer, addressed without decoding it.

`TextBuffer` lays character and line numbers over bytes that stay where they are: in memory, in
memory shared with other processes, or in files. It keeps one number a block of 4 KiB (the
characters that start before it; on demand also the newlines), so that 1 GB costs 2 MB, and any
position is found by bisection and one block. A pure ASCII buffer needs no numbers: its offsets are
its bytes. What was counted elsewhere comes along as a `BlockIndex`, with blocks of any length.

It promises nothing about invalid UTF-8: who fills a buffer checks it first (`ingest`, `documents`).
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

from rlm_dspy.context.blocks import BLOCK_BYTES, CONTINUATION, BlockIndex, characters_in
from rlm_dspy.shared import Joined, Shared

WINDOW_BYTES = 1 << 20
# Bytes that a character has at most.
_LONGEST = 4


class TextBuffer:
    """A read-only text as UTF-8 bytes with character offsets.

    Args:
        data: Valid UTF-8 in any bytes-like object, or shared; it is never copied as a whole.
        block: Bytes a number of the index.
        window: Bytes that are copied or decoded at once when the buffer is walked.
        index: What is known of the same data; where it has no places, with the same block.
        ascii: Whether the data is ASCII; None: to be found out.
    """

    def __init__(
        self,
        data: Any,
        *,
        block: int = BLOCK_BYTES,
        window: int = WINDOW_BYTES,
        index: BlockIndex = BlockIndex(),  # noqa: B008 - a constant
        ascii: bool | None = None,  # noqa: A002 - as `str.isascii` and `TextBuffer.ascii` say it
    ):
        self.data = data
        self._whole = data if isinstance(data, bytes) else None
        # A view decodes without a copy; a file has none.
        shared = isinstance(data, Shared | Joined)
        self._view = data.view if shared else memoryview(data).toreadonly().cast("B")
        self.size = data.size if self._view is None else len(self._view)
        self._block = block
        self.window = max(window, 8)
        self._places = index.places
        self._newlines = index.lines
        self.ascii = self._is_ascii(index) if ascii is None else ascii
        self._starts = array("Q") if self.ascii else index.chars or self._count(characters_in)
        self.chars = self.size if self.ascii else self._starts[-1]

    def _is_ascii(self, index: BlockIndex) -> bool:
        return index.chars is None and all(piece.isascii() for _, piece in self.pieces(0))

    def _count(self, measure: Any) -> "array[int]":
        """Running totals of `measure` before each block, and the grand total last."""
        totals, total, block = array("Q"), 0, self._block
        for _, piece in self.pieces(0, step=max(1, self.window // block) * block):
            for start in range(0, len(piece), block):
                totals.append(total)
                total += measure(piece[start : start + block])
        totals.append(total)
        return totals

    @property
    def index(self) -> BlockIndex:
        """What is known so far, for a `TextBuffer` elsewhere over the same bytes."""
        return BlockIndex(self._places, None if self.ascii else self._starts, self._newlines)

    def _place(self, number: int) -> int:
        """The byte where a block starts; behind the last one the end, or what lies behind it."""
        return number * self._block if self._places is None else self._places[number]

    def _block_at(self, byte: int) -> int:
        """The number of the block that holds a byte."""
        if self._places is None:
            return byte // self._block
        return bisect_right(self._places, byte) - 1

    def read(self, low: int, high: int) -> bytes:
        """The bytes from `low` up to `high`; what lies behind the end is left out."""
        return self.data.read(low, high) if self._view is None else bytes(self._view[low:high])

    def _decoded(self, low: int, high: int) -> str:
        return str(self.read(low, high) if self._view is None else self._view[low:high], "utf-8")

    def pieces(
        self, low: int, high: int | None = None, step: int = 0
    ) -> Iterator[tuple[int, bytes]]:
        """The bytes from `low` up to `high` (None: the end), `step` (0: a window) at a time.

        Each comes with the byte where it starts.
        """
        high = self.size if high is None else high
        step = step or self.window
        for start in range(low, high, step):
            yield start, self.read(start, min(start + step, high))

    # Offsets.

    def byte_of(self, char: int) -> int:
        """The byte where character `char` starts (0 ≤ char ≤ `chars`)."""
        if self.ascii or char <= 0:
            return max(char, 0)
        if char >= self.chars:
            return self.size
        number = bisect_right(self._starts, char) - 1
        start = self._align(self._place(number))
        piece = self.read(start, self._place(number + 1))
        ahead = char - self._starts[number]
        if piece.isascii():
            return start + ahead
        return start + len(piece.decode("utf-8", "ignore")[:ahead].encode())

    def char_of(self, byte: int) -> int:
        """The number of the character that starts at `byte`, which must be a character's start."""
        if self.ascii:
            return byte
        number = self._block_at(byte)
        return self._starts[number] + characters_in(self.read(self._place(number), byte))

    def _align(self, byte: int) -> int:
        """The first character start at or after a byte."""
        following = self.read(byte, min(byte + _LONGEST - 1, self.size))
        return byte + len(following) - len(following.lstrip(CONTINUATION))

    # Text.

    def text(self, start: int, end: int) -> str:
        """The characters from `start` up to `end`."""
        if start >= end:
            return ""
        return self._decoded(self.byte_of(start), self.byte_of(end))

    def windows(self, start: int, end: int) -> Iterator[str]:
        """The characters from `start` up to `end`, decoded a window at a time."""
        low, high = self.byte_of(start), self.byte_of(end)
        while low < high:
            stop = self._align(min(low + self.window, high))
            yield self._decoded(low, stop)
            low = stop

    # Literal search; positions are characters, -1 is "not there".

    def find(self, needle: str, start: int, end: int) -> int:
        """The first `needle` that lies within [start, end)."""
        sought = _encoded(needle)
        if not sought:
            return start if sought is not None and start <= end else -1
        low, high = self.byte_of(start), self.byte_of(end)
        if self._whole is not None:
            return self._as_char(self._whole.find(sought, low, high))
        for at in range(low, high, self.window):
            stop = min(at + self.window + len(sought) - 1, high)
            found = self.read(at, stop).find(sought)
            if found >= 0:
                return self.char_of(at + found)
        return -1

    def rfind(self, needle: str, start: int, end: int) -> int:
        """The last `needle` that lies within [start, end)."""
        sought = _encoded(needle)
        if not sought:
            return end if sought is not None and start <= end else -1
        low, high = self.byte_of(start), self.byte_of(end)
        while low < high:
            at = max(low, high - self.window - len(sought) + 1)
            found = self.read(at, high).rfind(sought)
            if found >= 0:
                return self.char_of(at + found)
            if at == low:
                break
            high = at + len(sought) - 1
        return -1

    def count(self, needle: str, start: int, end: int) -> int:
        """How often `needle` lies within [start, end) without overlap."""
        sought = _encoded(needle)
        if not sought:
            return 0 if sought is None or start > end else end - start + 1
        low, high = self.byte_of(start), self.byte_of(end)
        if self._whole is not None:
            return self._whole.count(sought, low, high)
        total, bordered = 0, any(sought.startswith(sought[at:]) for at in range(1, len(sought)))
        while low < high:
            piece = self.read(low, min(low + self.window + len(sought) - 1, high))
            # Where matches can overlap, those counted depend on where counting starts.
            found, last = _matches(piece, sought) if bordered else (piece.count(sought), 0)
            total += found
            low += max(self.window, last)
        return total

    def _as_char(self, byte: int) -> int:
        return -1 if byte < 0 else self.char_of(byte)

    # Lines: a line ends at "\n".

    @property
    def _line_totals(self) -> Sequence[int]:
        if self._newlines is None:
            self._newlines = self._count(lambda piece: piece.count(b"\n"))
        return self._newlines

    def newlines_before(self, char: int) -> int:
        """How many newlines lie before character `char`."""
        byte = self.byte_of(char)
        number = min(self._block_at(byte), len(self._line_totals) - 1)
        rest = self.read(self._place(number), byte)
        return self._line_totals[number] + rest.count(b"\n")

    def newline(self, ordinal: int) -> int:
        """Where the newline with this number (from 1) is, in characters; `chars` past the last."""
        totals = self._line_totals
        if ordinal > totals[-1]:
            return self.chars
        number = bisect_right(totals, ordinal - 1) - 1
        start = self._place(number)
        piece = self.read(start, self._place(number + 1))
        at = -1
        for _ in range(ordinal - totals[number]):
            at = piece.find(b"\n", at + 1)
        return self.char_of(start + at)


def _encoded(needle: str) -> bytes | None:
    """A needle as UTF-8, or None for lone surrogates, which no buffer holds."""
    try:
        return needle.encode()
    except UnicodeEncodeError:
        return None


def _matches(piece: bytes, sought: bytes) -> tuple[int, int]:
    """How often `sought` is in a piece without overlap, and where the last of them ends."""
    found = end = 0
    while (at := piece.find(sought, end)) >= 0:
        found, end = found + 1, at + len(sought)
    return found, end
