"""What of its documents a run has read, as a reader of its events: `run.coverage`.

*Sent* (in the prompt of a sub-query that was answered) and *printed* (shown to the planner) are
counted on the host. *Matched* is what a search found, as the REPL reports it: it is no reading, and
counts for nothing in `read`.
"""

import bisect
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlm_dspy.notebook import table

Interval = tuple[int, int]
# A range of one document: its number from 0, and where the range starts and ends in its text.
Range = tuple[int, int, int]

_SENT, _PRINTED, _MATCHED, _UNTOUCHED = "█", "▓", "░", "·"
# What the bar of a document shows where its part is read in more ways than one.
_BAR_CHARS = 40
_ROWS_SHOWN = 20


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """The union of intervals: sorted, apart from each other, none empty."""
    union: list[Interval] = []
    for start, end in sorted(intervals):
        if start >= end:
            continue
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(union[-1][1], end))
        else:
            union.append((start, end))
    return union


def without(intervals: Sequence[Interval], others: Sequence[Interval]) -> list[Interval]:
    """What of merged intervals lies in none of some other merged intervals."""
    left: list[Interval] = []
    for start, end in intervals:
        at = start
        first = max(bisect.bisect_right(others, (start, start)) - 1, 0)
        for low, high in others[first:]:
            if low >= end:
                break
            if low > at:
                left.append((at, low))
            at = max(at, high)
        if at < end:
            left.append((at, end))
    return left


def size(intervals: Iterable[Interval]) -> int:
    """Characters in merged intervals."""
    return sum(end - start for start, end in intervals)


@dataclass(frozen=True)
class DocumentCoverage:
    """What of one document was read. Ranges are merged (start, end) pairs, in characters.

    Args:
        title: The document's title.
        characters: Its length.
        sent: What sub-queries were sent.
        printed: What the planner was shown.
        matched: What a search found, read or not, as the REPL reports it.
    """

    title: str
    characters: int
    sent: list[Interval] = field(default_factory=list, repr=False)
    printed: list[Interval] = field(default_factory=list, repr=False)
    matched: list[Interval] = field(default_factory=list, repr=False)

    @functools.cached_property
    def read(self) -> list[Interval]:
        """What was sent or printed."""
        return merged([*self.sent, *self.printed])

    @functools.cached_property
    def only_matched(self) -> list[Interval]:
        """What a search found and no model read."""
        return without(self.matched, self.read)

    @functools.cached_property
    def unread(self) -> list[Interval]:
        """What no model read."""
        return without([(0, self.characters)] if self.characters else [], self.read)

    def bar(self, width: int = _BAR_CHARS) -> str:
        """The document from its start to its end: █ sent, ▓ printed, ░ only matched, · untouched.

        Each character stands for an equal part of the text, and shows what most of it is.

        Args:
            width: Its length, in characters.
        """
        kinds = [
            (_SENT, self.sent),
            (_PRINTED, without(self.printed, self.sent)),
            (_MATCHED, self.only_matched),
            (_UNTOUCHED, without(self.unread, self.only_matched)),
        ]
        length = self.characters or 1
        cells = []
        for cell in range(width):
            low, high = cell * length // width, max((cell + 1) * length // width, 1)
            part = [(low, max(high, low + 1))]
            most = max(kinds, key=lambda kind: size(part) - size(without(part, kind[1])))
            cells.append(most[0])
        return "".join(cells)

    def as_dict(self) -> dict[str, Any]:
        """Its numbers."""
        return {
            "title": self.title,
            "characters": self.characters,
            "sent": size(self.sent),
            "printed": size(self.printed),
            "read": size(self.read),
            "matched": size(self.only_matched),
            "untouched": self.characters - size(self.read) - size(self.only_matched),
        }


@dataclass(frozen=True)
class Coverage:
    """What of all documents of a run was read, in characters.

    Args:
        documents: One a document, in order.
    """

    documents: tuple[DocumentCoverage, ...]

    @classmethod
    def of(cls, events: Iterable[Any]) -> "Coverage":
        """The coverage of a run, from its events; those of its sub-runs are in its sub-queries'.

        Args:
            events: The events in order; of another run than the first's none counts.
        """
        documents: Sequence[tuple[str, int]] = ()
        found: dict[str, dict[int, list[Interval]]] = {"sent": {}, "printed": {}, "matched": {}}
        first = None
        for event in events:
            first = event.run if first is None else first
            if event.run != first:
                continue
            documents = getattr(event, "documents", None) or documents
            for kind, ranges in found.items():
                for number, start, end in getattr(event, kind, None) or ():
                    ranges.setdefault(number, []).append((start, end))
        return cls(
            tuple(
                DocumentCoverage(
                    title,
                    characters,
                    **{kind: merged(ranges.get(number, ())) for kind, ranges in found.items()},
                )
                for number, (title, characters) in enumerate(documents)
            )
        )

    @property
    def characters(self) -> int:
        """The length of all documents together."""
        return sum(document.characters for document in self.documents)

    @property
    def sent(self) -> int:
        """How much was sent to sub-queries."""
        return sum(size(document.sent) for document in self.documents)

    @property
    def printed(self) -> int:
        """How much was printed to the planner, sent or not."""
        return sum(size(document.printed) for document in self.documents)

    @property
    def read(self) -> int:
        """How much was sent, or printed, or both."""
        return sum(size(document.read) for document in self.documents)

    @property
    def matched(self) -> int:
        """How much was only matched by a search, as the REPL reports it."""
        return sum(size(document.only_matched) for document in self.documents)

    @property
    def untouched(self) -> int:
        """How much was never touched."""
        return self.characters - self.read - self.matched

    @property
    def share(self) -> float:
        """What part of the text was read, from 0 to 1; 1 where there is no text."""
        return self.read / self.characters if self.characters else 1.0

    def ranges(self, document: int | str) -> dict[str, list[Interval]]:
        """What of one document was read, by "sent", "printed" and "matched".

        Args:
            document: Its number from 0, or its title.

        Raises:
            KeyError: There is no such document.
        """
        if isinstance(document, str):
            numbers = [n for n, each in enumerate(self.documents) if each.title == document]
        else:
            numbers = [document] if 0 <= document < len(self.documents) else []
        if not numbers:
            raise KeyError(f"there is no document {document!r} in this run's coverage")
        found = self.documents[numbers[0]]
        return {"sent": found.sent, "printed": found.printed, "matched": found.only_matched}

    def bar(self, width: int = _BAR_CHARS) -> str:
        """A line for each document: its bar, how much of it was read, its title.

        Args:
            width: The length of a bar, in characters.
        """
        shown = self.documents[:_ROWS_SHOWN]
        lines = [
            f"{each.bar(width)} {size(each.read) / (each.characters or 1):>4.0%}  {each.title}"
            for each in shown
        ]
        if len(self.documents) > len(shown):
            lines.append(f"… and {len(self.documents) - len(shown):,} more documents")
        return "\n".join(lines)

    def line(self) -> str:
        """It all in one line."""
        return (
            f"read {self.share:.1%} of {self.characters:,} characters: {self.sent:,} sent, "
            f"{self.printed:,} printed; {self.matched:,} only matched, {self.untouched:,} untouched"
        )

    def __str__(self) -> str:
        return f"{self.line()}\n{self.bar()}" if self.documents else self.line()

    def _repr_html_(self) -> str:
        """What a notebook shows: the bar of each document."""
        rows = [
            (each.bar(), f"{size(each.read) / (each.characters or 1):.0%}", each.title)
            for each in self.documents[:_ROWS_SHOWN]
        ]
        left = len(self.documents) - len(rows)
        marks = f"{_SENT} sent  {_PRINTED} printed  {_MATCHED} only matched  {_UNTOUCHED} untouched"
        return table(self.line(), rows, f"… and {left:,} more documents" if left else marks)

    def as_dict(self) -> dict[str, Any]:
        """Its numbers, in total and a document each."""
        total = ("characters", "sent", "printed", "read", "matched", "untouched")
        return {
            **{name: getattr(self, name) for name in total},
            "share": round(self.share, 6),
            "documents": [document.as_dict() for document in self.documents],
        }
