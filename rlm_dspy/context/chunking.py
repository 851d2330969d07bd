"""Cutting a piece of a context into chunks that together cover every character of it.

Chunks are contiguous (or overlap by what is asked), in order, none larger than asked. `size` and
`overlap` count what `by` names: characters, tokens, lines, sentences, paragraphs or records; by
"headings", "code" and "content" they count characters. A cut never falls within what a reader sees
as one character, but where there is no room for it.

By "headings" and "code" a chunk has as many whole sections or definitions of one document as fit,
and those that are too long are opened. By "content", chunks end behind lines that what stands
around them makes ends: a change moves the ends near it and no other, so that what was asked about
all other chunks is still in the cache. They are about two thirds as long, and so half as many
again.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from rlm_dspy import cuts
from rlm_dspy.context.lines import line_blocks, line_ranges
from rlm_dspy.context.offsets import TextBuffer
from rlm_dspy.context.reaching import reach_of_tokens, reaching, reaching_back
from rlm_dspy.context.records import Ends, line_ends, paragraph_ends, record_ends
from rlm_dspy.context.sentences import sentence_ends
from rlm_dspy.context.structures import Part, definitions, packed, sections
from rlm_dspy.errors import ContextError

Range = tuple[int, int]

_LINE_END = re.compile(r"\n")
# A sentence, paragraph or record that is longer is cut behind a line; in characters.
_LONGEST_UNIT = 8 << 20
# How much of a document tells what its records are; in characters.
_SAMPLE_CHARS = 1 << 16


class Asked(NamedTuple):
    """How a text is to be cut.

    Attributes:
        size: The most that a chunk holds, at least 1.
        overlap: What a chunk repeats of the one before, less than `size`.
        count: Counts the tokens of a text; None: estimated.
    """

    size: int
    overlap: int
    count: Callable[[str], int] | None

    @property
    def room(self) -> int:
        """What a chunk holds of its own."""
        return self.size - self.overlap


def chunk_ranges(
    source: Any, size: int, overlap: int, by: str, count: Callable[[str], int] | None = None
) -> Iterator[Range]:
    """The ranges of the chunks of a located piece, as offsets in the whole context.

    Args:
        source: A located piece.
        size: The most that a chunk holds, at least 1.
        overlap: What a chunk repeats of the one before, less than `size`.
        by: What `size` and `overlap` count, and where chunks end.
        count: Counts the tokens of a text; None: estimated at three bytes each.

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
    return make(source, Asked(size, overlap, count))


def _by_characters(source: Any, asked: Asked) -> Iterator[Range]:
    return reaching(
        source._context._buffer,
        source.start,
        source.end,
        lambda at: at + asked.size,
        lambda length: asked.overlap,
    )


def _by_tokens(source: Any, asked: Asked) -> Iterator[Range]:
    buffer = source._context._buffer
    return reaching(
        buffer,
        source.start,
        source.end,
        reach_of_tokens(buffer, source.end, asked.size, asked.count),
        lambda length: length * asked.overlap // asked.size,
    )


# By units.


def _by_units(ends: Ends) -> Callable[[Any, Asked], Iterator[Range]]:
    def make(source: Any, asked: Asked) -> Iterator[Range]:
        bounds = _bounds(source._context._buffer, source.start, source.end, ends)
        return _grouped(bounds, source.start, asked)

    return make


def _by_records(source: Any, asked: Asked) -> Iterator[Range]:
    return _grouped(_record_bounds(source), source.start, asked)


def _record_bounds(source: Any) -> Iterator[int]:
    buffer = source._context._buffer
    for part in _documents(source):
        sample = buffer.text(part.start, min(part.start + _SAMPLE_CHARS, part.stop))
        bounds = _bounds(buffer, part.start, part.stop, record_ends(part.name, sample))
        yield from (bound for bound in bounds if bound < part.stop)
        yield part.end


def _bounds(buffer: TextBuffer, start: int, end: int, ends: Ends) -> Iterator[int]:
    """Where each unit of a range ends; the last one wherever the range does.

    A unit at the end of what is looked at may go on behind it: it is looked at again with that.
    """
    held = ""
    for _, block in line_blocks(buffer, start, end):
        text = held + block
        found = [at for at in ends(text) if at < len(text)]
        if not found and len(text) > _LONGEST_UNIT:
            found = [len(text)]
        yield from (start + at for at in found)
        done = found[-1] if found else 0
        held = text[done:]
        start += done
    if held:
        yield end


def _grouped(bounds: Iterable[int], start: int, asked: Asked) -> Iterator[Range]:
    """Runs of as many units as were asked for, given where each one ends."""
    held = deque([start])  # where the units of the run that is being filled begin
    overlap = 0  # how many of them were in the run before
    for bound in bounds:
        held.append(bound)
        if len(held) > asked.size:
            yield held[0], held[-1]
            overlap = asked.overlap
            for _ in range(asked.room):
                held.popleft()
    if len(held) - 1 > overlap:
        yield held[0], held[-1]


# By structure.


def _by_headings(source: Any, asked: Asked) -> Iterator[Range]:
    buffer = source._context._buffer
    for text in _documents(source):
        lines = (
            (low, line)
            for at, block in line_blocks(buffer, text.start, text.stop)
            for low, _, line in line_ranges(block, at)
        )
        parts = [part for part in sections(lines) if part.start > text.start]
        yield from _of_parts(buffer, parts, (text.opens, text.end), asked)


def _by_code(source: Any, asked: Asked) -> Iterator[Range]:
    buffer = source._context._buffer
    for text in _documents(source):
        found = definitions(buffer.text(text.start, text.stop), text.name, asked.room)
        parts = [Part(text.start + part.start, part.level) for part in found if part.start]
        yield from _of_parts(buffer, parts, (text.opens, text.end), asked)


def _of_parts(
    buffer: TextBuffer, parts: list[Part], within: Range, asked: Asked
) -> Iterator[Range]:
    def cut(low: int, high: int) -> Iterator[Range]:
        return reaching(buffer, low, high, lambda at: at + asked.room)

    for low, high in packed(parts, *within, asked.room, cut):
        yield reaching_back(buffer, low, asked.overlap, within[0]), high


class _Text(NamedTuple):
    """A document, as far as it is in a piece.

    Attributes:
        name: Its file, else its title.
        opens: Where its part of the piece begins, its title line included.
        start: Where its text begins there.
        stop: Where its text ends.
        end: Where the next one begins.
    """

    name: str
    opens: int
    start: int
    stop: int
    end: int


def _documents(source: Any) -> Iterator[_Text]:
    documents = source._context.documents
    number, start = source.document._number, source.start
    while start < source.end:
        document = documents[number]
        number += 1
        end = documents[number]._entry.opens if number < len(documents) else source.end
        end = min(end, source.end)
        if start < end:
            text = min(max(document.start, start), end)
            stop = min(max(document.end, text), end)
            yield _Text(document.path or document.title, start, text, stop, end)
            start = end


def _by_content(source: Any, asked: Asked) -> Iterator[Range]:
    buffer = source._context._buffer
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
    for group in cuts.groups(lines, [len(line) / asked.room for line in lines]):
        start, end = bounds[group.start], bounds[group.stop]
        # A line that is too long by itself is cut where it has room for it.
        for low, high in reaching(buffer, start, end, lambda at: at + asked.room):
            yield reaching_back(buffer, low, asked.overlap, source.start), high


_UNITS: dict[str, Callable[[Any, Asked], Iterator[Range]]] = {
    "chars": _by_characters,
    "tokens": _by_tokens,
    "lines": _by_units(line_ends),
    "sentences": _by_units(sentence_ends),
    "paragraphs": _by_units(paragraph_ends),
    "records": _by_records,
    "headings": _by_headings,
    "code": _by_code,
    "content": _by_content,
}
