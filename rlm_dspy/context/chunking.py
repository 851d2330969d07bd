"""Cutting a piece of a context into chunks that together cover every character of it.

Chunks are contiguous (or overlap by what is asked), in order, none larger than asked. `size` and
`overlap` count in the unit `by` names: characters, lines or paragraphs. A chunk by characters ends
behind a newline, else behind a space, where one lies in its last fifth; a cut never falls within a
character, and between a letter and its combining marks only where there is no room for both.

By "content", sizes count in characters as well, but chunks end behind lines that what stands around
them makes ends: a change moves the ends near it and no other, so that what was asked about all
other chunks is still in the cache. They are about two thirds as long, and so half as many again.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

from rlm_dspy import cuts
from rlm_dspy.context.lines import line_blocks
from rlm_dspy.errors import ContextError

# A chunk gives up at most this part of its size to end at a better place.
_SEARCHED_TAIL = 0.2
# Room for a letter with its marks, and for a line end of two characters, in any chunk.
_LEAST_TAIL = 4
_LINE_END = re.compile(r"\n")
# A paragraph ends behind its blank lines, which belong to it.
_PARAGRAPH_END = re.compile(r"\n(?:[ \t\r\f\v]*\n)+")

Range = tuple[int, int]


def chunk_ranges(source: Any, size: int, overlap: int, by: str) -> list[Range]:
    """The ranges of the chunks of a located piece, as offsets in the whole context.

    Args:
        source: A located piece.
        size: The most that a chunk holds, at least 1, in the unit.
        overlap: What a chunk repeats of the one before, less than `size`, in the unit.
        by: "chars", "lines", "paragraphs" or "content".

    Raises:
        ContextError: An argument breaks these rules.
    """
    make = _UNITS.get(by)
    if make is None:
        raise ContextError(f"chunks: by={by!r} is none of {', '.join(map(repr, _UNITS))}.", by=by)
    for name, value, least in (("size", size, 1), ("overlap", overlap, 0)):
        if not isinstance(value, int) or value < least:
            raise ContextError(f"chunks: {name}={value!r} must be a whole number, {least} or more.")
    if overlap >= size:
        raise ContextError(
            f"chunks: overlap={overlap} must be smaller than size={size}.", overlap=overlap
        )
    return make(source, size, overlap)


def _by_characters(source: Any, size: int, overlap: int) -> list[Range]:
    return _of_characters(source._context._buffer, source.start, source.end, size, overlap)


def _of_characters(buffer: Any, start: int, end: int, size: int, overlap: int = 0) -> list[Range]:
    ranges: list[Range] = []
    at = start
    while at < end:
        stop = min(at + size, end)
        if stop < end:
            room = max(int(size * _SEARCHED_TAIL), _LEAST_TAIL)
            room = max(1, min(room, size - overlap - 1))
            low = max(stop - room, at + 1)
            stop = low + _best_cut(buffer.text(low, stop), buffer.text(stop, stop + 1))
        ranges.append((at, stop))
        if stop == end:
            break
        at = max(stop - overlap, at + 1)
    return ranges


def _best_cut(tail: str, following: str) -> int:
    """How much of the last part of a chunk to keep; `following` is the character behind it."""
    for mark in ("\n", " "):
        if (cut := tail.rfind(mark) + 1) > 0:
            return cut
    cut = len(tail)
    text = tail + following
    while cut > 0 and (unicodedata.combining(text[cut]) or text[cut - 1 : cut + 1] == "\r\n"):
        cut -= 1
    return cut or len(tail)


def _by_content(source: Any, size: int, overlap: int) -> list[Range]:
    buffer, room = source._context._buffer, size - overlap
    bounds = [source.start]
    lines: list[str] = []
    for at, block in line_blocks(buffer, source.start, source.end):
        begin = 0
        for found in _LINE_END.finditer(block):
            lines.append(block[begin : found.end()])
            begin = found.end()
            bounds.append(at + begin)
        if begin < len(block):
            lines.append(block[begin:])
            bounds.append(at + len(block))
    ranges: list[Range] = []
    for group in cuts.groups(lines, [len(line) / room for line in lines]):
        start, end = bounds[group.start], bounds[group.stop]
        # A line that is too long by itself is cut where it has room for it.
        ranges += (
            [(start, end)] if end - start <= room else _of_characters(buffer, start, end, room)
        )
    return [(max(start - overlap, source.start), end) for start, end in ranges]


def _by_lines(source: Any, size: int, overlap: int) -> list[Range]:
    blocks = line_blocks(source._context._buffer, source.start, source.end)
    return _grouped(_bounds(source, _LINE_END, blocks), size, overlap)


def _by_paragraphs(source: Any, size: int, overlap: int) -> list[Range]:
    blocks = [(source.start, source._whole())]
    return _grouped(_bounds(source, _PARAGRAPH_END, blocks), size, overlap)


def _bounds(source: Any, ending: "re.Pattern[str]", blocks: Iterable[tuple[int, str]]) -> list[int]:
    """Where each unit begins and the last one ends, line ends included, so that all is covered."""
    bounds = [source.start]
    for at, block in blocks:
        bounds.extend(at + found.end() for found in ending.finditer(block))
    if bounds[-1] != source.end:
        bounds.append(source.end)
    return bounds


def _grouped(bounds: list[int], size: int, overlap: int) -> list[Range]:
    """Runs of `size` units, given where each unit begins and the last one ends."""
    units = len(bounds) - 1
    return [
        (bounds[first], bounds[min(first + size, units)])
        for first in range(0, max(units - overlap, min(units, 1)), size - overlap)
    ]


_UNITS: dict[str, Callable[[Any, int, int], list[Range]]] = {
    "chars": _by_characters,
    "lines": _by_lines,
    "paragraphs": _by_paragraphs,
    "content": _by_content,
}
