"""Chunks that reach as far as they may, and end behind a newline or a space where one is near."""

from collections.abc import Callable, Iterator

from rlm_dspy.context.graphemes import can_cut, last_cut
from rlm_dspy.context.offsets import TextBuffer

Range = tuple[int, int]

# A chunk gives up at most this part of its size to end at a better place.
_SEARCHED_TAIL = 0.2
# Room for a letter with its marks, and for a line end of two characters, in any chunk.
_LEAST_TAIL = 4
# UTF-8 bytes that a token has in most texts, at least; English has four.
_TOKEN_BYTES = 3


def reaching(
    buffer: TextBuffer,
    start: int,
    end: int,
    reach: Callable[[int], int],
    overlapping: Callable[[int], int] = lambda length: 0,
) -> Iterator[Range]:
    """Cuts a range.

    Args:
        buffer: The text.
        start: Where the range starts.
        end: Where it ends.
        reach: The furthest end of a chunk, by its start.
        overlapping: How much of a chunk the next one repeats, by its length; in characters.
    """
    at = covered = start
    while at < end:
        stop = min(reach(at), end)
        if stop == end:
            yield at, stop
            return
        text = buffer.text(at, stop + 1)
        most = stop - at
        cut = _best_cut(text, most, min(overlapping(most) + 1, most))
        if at + cut > covered:  # else it only repeats what was there
            yield at, at + cut
            covered = at + cut
        following = max(cut - overlapping(cut), 1)
        while following < cut and not can_cut(text, following):
            following += 1
        at += following


def _best_cut(text: str, most: int, least: int) -> int:
    """Where a chunk of a text ends: at `most`, or before at a better place, not before `least`."""
    room = max(int(most * _SEARCHED_TAIL), _LEAST_TAIL)
    for mark in ("\n", " "):
        cut = text.rfind(mark, max(most - room, least - 1), most) + 1
        if cut > 0 and can_cut(text, cut):
            return cut
    return last_cut(text, most, least)


def reach_of_tokens(
    buffer: TextBuffer, end: int, size: int, count: Callable[[str], int] | None
) -> Callable[[int], int]:
    """How far `size` tokens reach, by where they start.

    Args:
        buffer: The text.
        end: Where it ends.
        size: How many tokens.
        count: Counts the tokens of a text; None: estimated at three bytes each.
    """
    size_bytes = size * _TOKEN_BYTES

    def estimated(at: int) -> int:
        if buffer.ascii:
            return at + size_bytes
        within = buffer.text(at, min(at + size_bytes, end)).encode()[:size_bytes]
        return at + max(len(within.decode(errors="ignore")), 1)

    def counted(at: int) -> int:
        assert count is not None
        length = 2 * size_bytes
        while at + length < end and count(buffer.text(at, at + length)) <= size:
            length *= 2
        text = buffer.text(at, min(at + length, end))
        if count(text) <= size:
            return end
        least, most = 1, len(text)
        while least < most - 1:
            middle = (least + most) // 2
            if count(text[:middle]) <= size:
                least = middle
            else:
                most = middle
        return at + least

    return estimated if count is None else counted


def reaching_back(buffer: TextBuffer, start: int, overlap: int, least: int) -> int:
    """Where a chunk starts that repeats up to `overlap` characters before its own `start`."""
    low = max(start - overlap, least)
    if low in (least, start):
        return low
    text = buffer.text(low - 1, start)
    return low - 1 + next(at for at in range(1, len(text) + 1) if can_cut(text, at))
