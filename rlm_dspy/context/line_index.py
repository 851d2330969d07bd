"""Which whole lines of a context stand in another text, and where they come from.

A line that the context has once says where it comes from; its neighbours come from beside it, as
far as the two texts agree line for line. So a run of lines is found where it has one line of its
own, and no line is ever found at a place that another one would fit as well. Promised: the text of
every range that is found stands in the text unbroken, but for its line ends. Lines are compared by
their hashes first, which take some 100 bytes a line: a long context has no index.
"""

from array import array
from collections.abc import Iterable, Iterator
from itertools import pairwise

from rlm_dspy.context.lines import line_blocks
from rlm_dspy.context.offsets import TextBuffer

# A longer context has no index: bytes, and lines.
MOST_BYTES = 16 << 20
MOST_LINES = 300_000
# Stands between two documents; `hash` of a text is never -1.
_BREAK = -1
_REPEATED = -1


class LineIndex:
    """The lines of a text.

    Args:
        buffer: The text.
        sections: Its documents, in order: where each starts and ends, in characters.
    """

    def __init__(self, buffer: TextBuffer, sections: Iterable[tuple[int, int]]):
        self._buffer = buffer
        self._hashes = array("q")
        self._starts = array("Q")
        self._ends = array("Q")
        self._once: dict[int, int] = {}
        self._note(_BREAK, 0, 0)
        for start, end in sections:
            self._add(start, end)
            self._note(_BREAK, end, end)

    def _add(self, start: int, end: int) -> None:
        once = self._once
        for at, block in line_blocks(self._buffer, start, end):
            rows = block.split("\n")
            if not rows[-1]:
                rows.pop()
            for row in rows:
                line = row.removesuffix("\r")
                key = hash(line)
                once[key] = _REPEATED if key in once else len(self._hashes)
                self._note(key, at, at + len(line))
                at += len(row) + 1

    def _note(self, key: int, start: int, end: int) -> None:
        self._hashes.append(key)
        self._starts.append(start)
        self._ends.append(end)

    def __len__(self) -> int:
        return len(self._hashes)

    def found(self, lines: list[str]) -> Iterator[tuple[int, int, int, int]]:
        """The runs of lines that come from this text.

        Args:
            lines: The lines of another text, without their ends.

        Yields:
            The first line of a run, the line behind its last, and where the run starts and ends in
            this text, in characters; runs do not overlap.
        """
        keys = [hash(line) for line in lines]
        table, once, done, at = self._hashes, self._once, 0, 0
        while at < len(keys):
            number = once.get(keys[at], _REPEATED)
            if number == _REPEATED or not lines[at].strip():
                at += 1
                continue
            first, last, low, high = at, at, number, number
            while first > done and keys[first - 1] == table[low - 1]:
                first, low = first - 1, low - 1
            while last + 1 < len(keys) and keys[last + 1] == table[high + 1]:
                last, high = last + 1, high + 1
            at = last + 1
            start, end = self._starts[low], self._ends[high]
            if self._same(lines[first : last + 1], start, end):
                start -= self._tail(lines[first - 1], low) if first > done else 0
                end += self._head(lines[last + 1], high) if last + 1 < len(lines) else 0
                yield first, last + 1, start, end
            done = at

    def _same(self, lines: list[str], start: int, end: int) -> bool:
        rows = self._buffer.text(start, end).split("\n")
        return len(rows) == len(lines) and all(
            row.removesuffix("\r") == line for row, line in zip(rows, lines, strict=True)
        )

    def _tail(self, line: str, low: int) -> int:
        """How far before a run it begins, where the line before it in the other text ends ours."""
        if not line or self._hashes[low - 1] == _BREAK:
            return 0
        end = self._ends[low - 1]
        start = end - len(line)
        whole = start >= self._starts[low - 1] and self._buffer.text(start, end) == line
        return self._starts[low] - start if whole else 0

    def _head(self, line: str, high: int) -> int:
        """How far behind a run it ends, where the line behind it in the other text begins ours."""
        if not line or self._hashes[high + 1] == _BREAK:
            return 0
        start = self._starts[high + 1]
        end = start + len(line)
        whole = end <= self._ends[high + 1] and self._buffer.text(start, end) == line
        return end - self._ends[high] if whole else 0


def lines_of(text: str) -> list[str]:
    """The lines of a text, without their ends."""
    return [line.removesuffix("\r") for line in text.split("\n")]


def apart(runs: Iterable[tuple[int, int, int, int]], lines: list[str]) -> list[str]:
    """The lines that are in no run."""
    bounds = [(0, 0), *((first, last) for first, last, _, _ in runs), (len(lines), len(lines))]
    return [line for (_, end), (start, _) in pairwise(bounds) for line in lines[end:start] if line]
