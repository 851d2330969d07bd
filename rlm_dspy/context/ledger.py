"""The ledger of a run: which parts of its contexts models were given to read.

It is kept on the host, from the texts that went to models. Where a text comes from is told by the
text alone (whole lines, and lines as `grep` shows them) or by who sent it; the REPL's word is taken
only where the context's own text at that place is the text that was sent, and each character of a
text counts for one character of a context. What cannot be told counts as not read. Short inputs,
which the planner is shown whole, are in no ledger.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rlm_dspy.context.context import Context
from rlm_dspy.context.line_index import MOST_BYTES, MOST_LINES, LineIndex, apart, lines_of
from rlm_dspy.context.lines import lines_between
from rlm_dspy.coverage import Range
from rlm_dspy.placed import Origin, origins_of

# A line as a `Hit` is printed.
_HIT = re.compile(r"(.+?):(\d+): (.*)")
# A shorter text is looked for in what was printed only as a whole line.
_LEAST_CHARS = 8
# How many of the last passages and lines that searches found are looked for in what is printed.
_KEPT_ORIGINS = 1_000
# What stands around a text that was printed as one of several; spaces may come between.
_AROUND, _INDENT = ("\n", "'", '"'), 200
_KEPT_TEXTS, _KEPT_TEXT_CHARS = 256, 1_000


class Ledger:
    """What of some contexts models have read.

    Args:
        inputs: A run's inputs; those that are contexts are counted.
        parent: The ledger of the run that started this one, if any.
        query: The sub-query of that run that this one answers.
    """

    def __init__(self, inputs: Iterable[Any] = (), parent: "Ledger | None" = None, query: int = 0):
        contexts = {id(value): value for value in inputs if isinstance(value, Context)}
        self._texts: list[_Text] = []
        for context in contexts.values():
            first = sum(len(text.context.documents) for text in self._texts)
            self._texts.append(_Text(context, first))
        self._by_number = {text.context._number: text for text in self._texts}
        self._parent = parent
        self._query = query
        self._sent: dict[int, list[Range]] = {}
        self._found: dict[Origin, None] = {}
        self._known: dict[str, list[Range]] = {}

    @property
    def documents(self) -> tuple[tuple[str, int], ...]:
        """The title and the length of each document, in the order of their numbers in ranges."""
        return tuple(
            (document.title, len(document))
            for text in self._texts
            for document in text.context.documents
        )

    def ends(self, characters: int) -> tuple[Range, ...]:
        """The ranges of the head and the tail of each context.

        Args:
            characters: How much of each is shown, two thirds of it from the head.
        """
        found = (
            each
            for text in self._texts
            for start, end in _two_ends(len(text.context), characters)
            for each in text.within(start, end)
        )
        return tuple(dict.fromkeys(found))

    def whole(self) -> tuple[Range, ...]:
        """The ranges of everything."""
        if self._parent is not None:
            self._parent.send(self._query, [str(text.context) for text in self._texts])
        sizes = enumerate(size for _, size in self.documents)
        return tuple((number, 0, size) for number, size in sizes if size)

    def send(self, query: int, texts: Iterable[str]) -> None:
        """Notes that a sub-query's model was given texts.

        Args:
            query: The sub-query's number.
            texts: What it read.
        """
        texts = list(texts)
        if self._texts:
            ranges = (found for text in texts for found in self.located(text))
            self._sent.setdefault(query, []).extend(ranges)
        if self._parent is not None:
            self._parent.send(self._query, texts)

    def sent(self, query: int) -> tuple[Range, ...]:
        """What a sub-query's model was given; asked for once."""
        return tuple(dict.fromkeys(self._sent.pop(query, ())))

    def matched(self, reported: Iterable[Origin]) -> tuple[Range, ...]:
        """What the REPL says that searches found, where there is such a text.

        Args:
            reported: The ranges it names.
        """
        ranges: list[Range] = []
        for origin in reported:
            text = self._by_number.get(origin.context)
            if text is not None and origin.end <= len(text.context):
                self._found.pop(origin, None)
                self._found[origin] = None
                ranges += text.within(origin.start, origin.end)
        while len(self._found) > _KEPT_ORIGINS:
            del self._found[next(iter(self._found))]
        return tuple(dict.fromkeys(ranges))

    def printed(self, output: str) -> tuple[Range, ...]:
        """What a planner was shown.

        Args:
            output: The output of a step, as it is shown.
        """
        if self._parent is not None:
            self._parent.send(self._query, [output])
        if not self._texts:
            return ()
        ranges, rest = self._quoted(output)
        return tuple(dict.fromkeys([*ranges, *self._lines(rest)]))

    def located(self, text: str) -> list[Range]:
        """Where a text, or parts of it, come from."""
        origins = origins_of(text)
        if origins:
            return self._placed(str(text), origins)
        known = self._known.get(text)
        if known is None:
            known = self._lines(text)
            if len(text) <= _KEPT_TEXT_CHARS:
                self._known[text] = known
                if len(self._known) > _KEPT_TEXTS:
                    del self._known[next(iter(self._known))]
        return known

    def _placed(self, text: str, origins: Sequence[Origin]) -> list[Range]:
        """The places that are named, where the text stands there, and what the rest tells."""
        ranges: list[Range] = []
        rest, at = [], 0
        for origin in origins:
            source = self._by_number.get(origin.context)
            if source is None or origin.end - origin.start > len(text) - at:
                continue
            piece = source.text(origin)
            place = text.find(piece, at) if piece else -1
            if place >= 0:
                ranges += source.within(origin.start, origin.end)
                rest.append(text[at:place])
                at = place + len(piece)
        rest.append(text[at:])
        return [*ranges, *(found for part in rest if part for found in self._lines(part))]

    def _lines(self, text: str) -> list[Range]:
        lines, ranges = lines_of(text), []
        for source in self._texts:
            found, lines = source.lines(lines)
            ranges += found
        return ranges

    def _quoted(self, output: str) -> tuple[list[Range], str]:
        """What of the output searches found, and the output with that blotted out."""
        places: dict[str, list[tuple[_Text, int, int]]] = {}
        for origin in self._found:
            source = self._by_number[origin.context]
            if origin.end - origin.start <= len(output):
                whole = source.text(origin)
                piece = whole.strip()
                if len(piece) >= _LEAST_CHARS:
                    start = origin.start + whole.index(piece)
                    places.setdefault(piece, []).append((source, start, start + len(piece)))
        ranges: list[Range] = []
        for piece in sorted(places, key=len, reverse=True):
            shown = {piece, repr(piece)[1:-1]}
            spots = [spot for form in shown for spot in _spots(output, form)]
            # Of several places with this text, it is not known which was printed.
            if len(spots) < len(set(places[piece])):
                continue
            for source, start, end in places[piece]:
                ranges += source.within(start, end)
            for start, end in spots:
                output = f"{output[:start]}{chr(0) * (end - start)}{output[end:]}"
        return ranges, output


class _Text:
    """One context of a ledger.

    Args:
        context: The context.
        first: The number of its first document.
    """

    def __init__(self, context: Context, first: int):
        self.context = context
        self._first = first
        self._index: LineIndex | None = None
        self._titles: dict[str, Any] | None = None

    def text(self, origin: Origin) -> str:
        """The text of a range, as far as there is one."""
        return self.context._buffer.text(origin.start, min(origin.end, len(self.context)))

    def within(self, start: int, end: int) -> Iterator[Range]:
        """A range of the context as ranges of its documents; title lines are in none."""
        documents = self.context.documents
        number = self.context._document_at(start)._number
        while number < len(documents) and documents[number].start < end:
            document = documents[number]
            low, high = max(start, document.start), min(end, document.end)
            if low < high:
                yield self._first + number, low - document.start, high - document.start
            number += 1

    def lines(self, lines: list[str]) -> tuple[list[Range], list[str]]:
        """What lines of a text come from here, and the other lines."""
        index = self._lines()
        if index is None:
            return [], lines
        runs = list(index.found(lines))
        ranges = [found for _, _, *place in runs for found in self.within(*place)]
        rest = []
        for line in apart(runs, lines):
            hit = self._hit(line)
            if hit is None:
                rest.append(line)
            else:
                ranges += self.within(hit.start, hit.end)
        return ranges, rest

    def _lines(self) -> LineIndex | None:
        buffer = self.context._buffer
        if self._index is None and buffer.size <= MOST_BYTES:
            newlines = buffer.newlines_before(buffer.chars)
            if newlines <= MOST_LINES:
                sections = ((each.start, each.end) for each in self.context.documents)
                self._index = LineIndex(buffer, sections)
        return self._index

    def _hit(self, line: str) -> Any:
        """The line that a line of `grep`'s form names, where it is that line."""
        form = _HIT.fullmatch(line)
        document = self._titled(form[1]) if form else None
        if form is None or document is None or len(form[2]) > 9 or not form[3]:
            return None
        number = int(form[2])
        named = lines_between(document, number, number)
        return named[0] if named and named[0] == form[3] else None

    def _titled(self, title: str) -> Any:
        """The document of a title; None where there is not just one."""
        if self._titles is None:
            self._titles = {}
            for document in self.context.documents:
                several = document.title in self._titles
                self._titles[document.title] = None if several else document
        return self._titles.get(title)


def _two_ends(length: int, characters: int) -> list[tuple[int, int]]:
    head = min(characters * 2 // 3, length)
    return [(0, head), (max(length - characters // 3, 0), length)]


def _spots(text: str, sought: str) -> Iterator[tuple[int, int]]:
    """Where a text stands by itself in another: at the ends of a line, or quoted."""
    at = text.find(sought)
    while at >= 0:
        end = at + len(sought)
        before, behind = text[max(at - _INDENT, 0) : at], text[end : end + _INDENT]
        left, right = before.rstrip(" "), behind.lstrip(" ")
        begins = not left or left.endswith(_AROUND) or (left != before and left[-1] in ":…")
        if begins and (not right or right[0] in _AROUND or (right != behind and right[0] == "…")):
            yield at, end
        at = text.find(sought, end)
