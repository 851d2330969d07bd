"""Lines of a piece of a context, numbered from 1.

A line ends at a newline; a carriage return before it is left out. This is how `grep -n`, editors
and `file:line` count (`splitlines` also splits at form feeds and the like, as `str` does). Nothing
is decoded but the lines asked for; `Lines` is the whole list without its memory.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, starmap
from typing import Any

from rlm_dspy.context.offsets import TextBuffer

_BATCH = 1000


def line_count(buffer: TextBuffer, start: int, end: int) -> int:
    """Lines in [start, end); the last one needs no newline."""
    if start >= end:
        return 0
    newlines = buffer.newlines_before(end) - buffer.newlines_before(start)
    return newlines + (buffer.text(end - 1, end) != "\n")


def line_ranges(text: str, at: int) -> list[tuple[int, int, str]]:
    """The lines of a text that starts at offset `at`: each one's start, end and text."""
    ranges = []
    rows = text.split("\n")
    if not rows[-1]:
        rows.pop()
    for row in rows:
        line = row.removesuffix("\r")
        ranges.append((at, at + len(line), line))
        at += len(row) + 1
    return ranges


def line_bytes(buffer: TextBuffer, start: int, end: int) -> Iterator[tuple[int, bytes, int]]:
    """The bytes of [start, end) in blocks of lines.

    Yields:
        The byte where a block starts, the block, and where its last whole line ends in it: the next
        block begins there, so that nothing is copied.
    """
    low, high = buffer.byte_of(start), buffer.byte_of(end)
    size = buffer.window
    while low < high:
        block = buffer.read(low, min(low + size, high))
        stop = len(block)
        if low + stop < high:
            stop = block.rfind(b"\n") + 1
            if not stop:  # a line that is longer
                size *= 2
                continue
        yield low, block, stop
        low += stop
        size = buffer.window


def line_blocks(buffer: TextBuffer, start: int, end: int) -> Iterator[tuple[int, str]]:
    """The text of [start, end) in blocks of whole lines, each with the offset where it starts."""
    for _, block, stop in line_bytes(buffer, start, end):
        text = str(memoryview(block)[:stop], "utf-8")
        yield start, text
        start += len(text)


def lines_between(source: Any, first: int, last: int) -> list[Any]:
    """Lines `first` to `last` (from 1, both included) of a located piece, as pieces.

    Numbers outside the piece are left out, so that asking for the lines around a hit needs no care.
    """
    buffer, start, end = source._context._buffer, source.start, source.end
    first = max(first, 1)
    if last < first or start >= end:
        return []
    before = buffer.newlines_before(start)
    low = start if first == 1 else min(buffer.newline(before + first - 1) + 1, end)
    high = min(buffer.newline(before + last) + 1, end)
    return list(starmap(source._context._cut, line_ranges(buffer.text(low, high), low)))


class Lines(Sequence[Any]):
    """All lines of a located piece, read when they are asked for; as any list, indexed from 0."""

    __slots__ = ("_count", "_source")

    def __init__(self, source: Any):
        self._source = source
        self._count = line_count(source._context._buffer, source.start, source.end)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, slice):
            number = key + self._count if key < 0 else key
            if not 0 <= number < self._count:
                raise IndexError("line index out of range")
            return self._batch(number, 1)[0]
        start, end, step = key.indices(self._count)
        if step == 1:
            return self._batch(start, end - start)
        return [self[number] for number in range(start, end, step)]

    def __iter__(self) -> Iterator[Any]:
        # Not a generator: those hand their frame to whoever holds them.
        return chain.from_iterable(map(self._batch, range(0, self._count, _BATCH)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (list, Lines)) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(list(self)) if self._count <= _BATCH else f"<{self._count:,} lines>"

    def _batch(self, number: int, count: int = _BATCH) -> list[Any]:
        return lines_between(self._source, number + 1, number + count)
