"""A text cut into units: what a search counts words in.

A unit has about 500 characters and ends at a blank line, a line end, a sentence end or a space, the
first of these that lies in its second half.
"""

import re
from collections.abc import Iterator

from rlm_dspy.context.offsets import TextBuffer

UNIT_CHARS = 500
SENTENCE_END = re.compile(r"[.!?][\"')\]”’]*\s+|[。！？]")
_SPACE = re.compile(r"\s")

Unit = tuple[int, int, str]


def units(buffer: TextBuffer, start: int, end: int) -> Iterator[Unit]:
    """The units of a range of characters: start, end and text of each."""
    text, at = "", start
    for window in buffer.windows(start, end):
        text += window
        low = 0
        while len(text) - low > UNIT_CHARS:
            unit = text[low : low + UNIT_CHARS]
            unit = unit[: _unit_end(unit)]
            yield at + low, at + low + len(unit), unit
            low += len(unit)
        text = text[low:]
        at += low
    if text:
        yield at, end, text


def _unit_end(text: str) -> int:
    """The best place to end a unit, in the last half of the text."""
    half = len(text) // 2
    for mark in ("\n\n", "\n"):
        if (at := text.rfind(mark, half)) >= 0:
            return at + len(mark)
    for ending in (SENTENCE_END, _SPACE):
        ends = [found.end() for found in ending.finditer(text, half)]
        if ends:
            return ends[-1]
    return len(text)
