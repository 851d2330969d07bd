"""Where a piece of a context came from, and the tools that work on any piece.

`Located` is what contexts, documents and spans have in common: a range of one context. `start` and
`end` are character offsets in the whole context; `line` counts from 1 within the piece's own
document (0 is the title line put before it), as `file:line` does. Code in the sandbox calls all of
this freely, so nothing here opens a file or hands out a generator, a module or an open buffer.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, islice, starmap
from typing import Any, ClassVar, Literal, Protocol, overload

from rlm_dspy.context.chunking import chunk_ranges
from rlm_dspy.context.extraction import after
from rlm_dspy.context.lazy import LazyList
from rlm_dspy.context.lines import Lines, line_count, lines_between
from rlm_dspy.context.matches import matcher, matching_count, matching_lines
from rlm_dspy.context.offsets import TextBuffer
from rlm_dspy.context.pieces import Pieces, plain
from rlm_dspy.context.search import PASSAGE_CHARS, Found, Searcher
from rlm_dspy.context.searching import By
from rlm_dspy.errors import ContextError

# The chunks of a longer text, and the hits of a more common pattern, are not all kept at once.
_LISTED_CHARS = 16 << 20
_LISTED_HITS = 10_000


class Home(Protocol):
    """What a piece asks of the context that it belongs to; offsets are the context's."""

    _buffer: TextBuffer
    _number: int | None  # of the context on the host; None where it has none
    _cores: ClassVar[int]  # threads that may work at once

    @property
    def documents(self) -> Sequence[Any]:
        """The documents, in order."""
        ...

    def _cut(self, start: int, end: int, text: str | None = None) -> Any:
        """The piece between two offsets."""

    def _hit(self, start: int, end: int, text: str | None, around: int) -> Any:
        """The line between two offsets as a `Hit`."""

    def _passage(self, found: Found) -> Any:
        """What was found as a `Passage`."""

    def _document_at(self, char: int) -> Any:
        """The document that an offset belongs to."""

    def _searcher(self, by: Any) -> Searcher:
        """What finds passages of the whole context in a way, made once."""


class Located(Pieces):
    """A range of a context."""

    __slots__ = ()

    _context: Home
    _start: int
    _end: int

    @property
    def context(self) -> Any:
        """The context that this is a piece of."""
        return self._context

    @property
    def start(self) -> int:
        """The offset in the whole context where this starts, in characters."""
        return self._start

    @property
    def end(self) -> int:
        """The offset in the whole context where this ends, in characters."""
        return self._end

    @property
    def text(self) -> Any:
        """The text of this range, as a span."""
        return self._context._cut(self._start, self._end)

    @property
    def document(self) -> Any:
        """The document that this starts in."""
        return self._context._document_at(self._start)

    @property
    def title(self) -> Any:
        """The title of the document that this starts in."""
        return self.document.title

    @property
    def path(self) -> str | None:
        """The path of the document that this starts in, where it came from a file."""
        return self.document.path

    @property
    def line(self) -> int:
        """The line of its document that this starts in, from 1."""
        return self._line_at(self._start)

    @property
    def end_line(self) -> int:
        """The line of its document that this ends in, from 1."""
        return self._line_at(max(self._start, self._end - 1))

    def _line_at(self, char: int) -> int:
        newlines_before = self._context._buffer.newlines_before
        return newlines_before(char) - newlines_before(self.document.start) + 1

    def __rlm_origin__(self) -> tuple[int, int, int] | None:
        """Where the text stands in a context of the host, as (context, start, end)."""
        number = self._context._number
        return None if number is None else (number, self._start, self._end)

    def __rlm_text__(self) -> str:
        """The text as a plain `str`: what a facade or a tool is given."""
        return self._whole()

    def lines(self, first: int | None = None, last: int | None = None) -> Sequence[Any]:
        """Lines by number, from 1, both ends included; without numbers all of them, read lazily.

        Args:
            first: The first line; numbers outside the text are left out.
            last: The last line; None: all from `first` on.
        """
        if first is None and last is None:
            return Lines(self)
        if last is None:
            last = line_count(self._context._buffer, self._start, self._end)
        return lines_between(self, 1 if first is None else first, last)

    def chunks(
        self,
        size: int,
        overlap: int = 0,
        by: str = "chars",
        count: Callable[[str], int] | None = None,
    ) -> Sequence[Any]:
        """Consecutive spans that together cover the text; of a very long one cut when asked for.

        Args:
            size: The most that a chunk holds, in the unit `by`.
            overlap: What a chunk repeats of the one before it, in the same unit.
            by: "chars" or "tokens" (end at a newline or a space where one is near), "lines",
                "sentences", "paragraphs" or "records" (rows of a table, JSON lines, blocks of
                lines); "headings" (of Markdown) or "code" (its definitions), whole ones of up to
                `size` characters together; or "content" (characters too, but a change of the text
                moves only the ends near it).
            count: Counts the tokens of a text, for "tokens"; None: estimated at three bytes each.

        Raises:
            ContextError: An argument is out of range.
        """
        ranges = chunk_ranges(self, size, overlap, by, count)
        if len(self) > _LISTED_CHARS:
            return LazyList(ranges, self._context._cut)
        return list(starmap(self._context._cut, ranges))

    @overload
    def grep(
        self,
        pattern: "str | re.Pattern[str]",
        *,
        ignore_case: bool = False,
        max_hits: int | None = None,
        context_lines: int = 0,
        count: Literal[False] = False,
    ) -> Sequence[Any]: ...
    @overload
    def grep(
        self,
        pattern: "str | re.Pattern[str]",
        *,
        ignore_case: bool = False,
        count: Literal[True],
    ) -> int: ...
    def grep(
        self,
        pattern: "str | re.Pattern[str]",
        *,
        ignore_case: bool = False,
        max_hits: int | None = None,
        context_lines: int = 0,
        count: bool = False,
    ) -> Sequence[Any] | int:
        """The lines that match a regular expression, as `Hit`s in their order.

        Of more than 10,000 each is looked for and read when it is asked for.

        With the extra `search` every pattern takes time linear in the text, and what has no linear
        time (lookaround, backreferences) is refused.

        Args:
            pattern: A regular expression of Python's `re`, matched within each line.
            ignore_case: Upper and lower case alike.
            max_hits: Stop after so many; None: all.
            context_lines: How many lines `hit.before` and `hit.after` hold.
            count: Give the number of lines that match, however many, and not the lines.

        Raises:
            ContextError: The pattern is not a regular expression, or is refused; or `max_hits` is
                below 0.
        """
        if max_hits is not None and max_hits < 0:
            raise ContextError(f"grep: max_hits={max_hits} must be 0 or more, or None for all.")
        sought = matcher(pattern, ignore_case=ignore_case)
        if count:
            return matching_count(self, sought)
        found = matching_lines(self, sought, max_hits)
        hits = [self._context._hit(*place, context_lines) for place in islice(found, _LISTED_HITS)]
        if len(hits) < _LISTED_HITS:
            return hits
        ranges = chain(((hit.start, hit.end) for hit in hits), (place[:2] for place in found))
        return LazyList(ranges, partial(self._context._hit, text=None, around=context_lines))

    def search(
        self, text: str, k: int = 5, size: int = PASSAGE_CHARS, by: By | None = None
    ) -> list[Any]:
        """The `k` passages that say most about the words of `text`, best first.

        Args:
            text: A question or keywords; rare words count most.
            k: The most passages returned.
            size: Characters a passage has, about.
            by: "keywords"; "dense": by meaning, and "hybrid": both, where the context has an
                embedder (`Context.with_embedder`). None: "hybrid" where it has, else "keywords".

        Raises:
            ContextError: `text` is not a str, or `by` is not a way that there is.
        """
        text = plain(text)
        if not isinstance(text, str):
            raise ContextError(f"search: text={text!r} must be a str of words.", text=text)
        found = self._context._searcher(by).found(
            text, count=k, size=size, start=self._start, end=self._end
        )
        return [self._context._passage(passage) for passage in found]

    def extract_after(
        self, marker: str, until: str | None = "\n", max_chars: int = 200
    ) -> str | None:
        """The text after the first `marker`, stripped, up to `until`; None where it is nowhere.

        Args:
            marker: What comes before; in any case where it is nowhere as written.
            until: Where the text ends; None: only at `max_chars`.
            max_chars: The most characters taken.
        """
        return next(after(self, marker, until, max_chars), None)

    def extract_all_after(
        self, marker: str, until: str | None = "\n", max_chars: int = 200
    ) -> list[str]:
        """The text after every `marker`, as `extract_after` gives it for the first."""
        return list(after(self, marker, until, max_chars))
