r"""Lines that match a regular expression of Python's `re`, found in linear time by RE2.

A line matches here where it matches there, for Unicode and all flags; see `rewriting`. RE2's `\b`
knows the words of ASCII alone: where a text has others, the lines that match without `\b` are tried
again, one by one, with every other word character between two underscores, which count as word
characters there.

RE2: Russ Cox, "Regular Expression Matching in the Wild" (2010).
"""

import re
from collections.abc import Iterator
from functools import cache, cached_property, lru_cache
from typing import Any

import re2
from re2 import _re2  # what the public module wraps, at a quarter of its cost a match

from rlm_dspy.context.rewriting import (
    ASCII_END,
    UNICODE_END,
    Expression,
    Range,
    any_character,
    marked_characters,
)
from rlm_dspy.errors import ContextError

# For one program and the states that it was in; with less, RE2 turns slow on counted classes.
_MEMORY_BYTES = 64 << 20
_KEPT_PATTERNS = 4
_UNANCHORED = _re2.RE2.Anchor.UNANCHORED


class LinearPattern:
    """A pattern of `re` that RE2 matches; a `Matcher`.

    Args:
        pattern: The pattern, read.

    Raises:
        ContextError: It is too large.
    """

    concurrent = True

    def __init__(self, pattern: Expression):
        self._pattern = pattern
        self._matches_empty = pattern.matches_empty()
        self._ascii = self._program(pattern.written(ASCII_END))

    def ranges(self, block: bytes, stop: int) -> list[Range]:
        """As `Matcher.ranges`."""
        if b"\r" not in block:
            return self._matching(block, stop)
        block = block[:stop]
        if block.endswith(b"\r"):
            block += b"\n"
        plain = block.replace(b"\r\n", b"\n")
        return _with_returns(block, self._matching(plain, len(plain)))

    def _matching(self, block: bytes, stop: int) -> list[Range]:
        if block.isascii():
            return list(self._lines(self._ascii, block, stop))
        found = self._lines(self._wide, block, stop)
        if not self._pattern.has_boundaries:
            return list(found)
        return [(low, high) for low, high in found if self._holds(block[low:high])]

    def _lines(self, program: Any, block: bytes, stop: int) -> Iterator[Range]:
        match, at = program.Match, 0
        while at < stop:
            found = match(_UNANCHORED, block, at, stop)[0][0]
            if found < 0:
                return
            start = block.rfind(b"\n", at, found) + 1 or at
            if start == stop:  # behind the last newline is no line
                return
            end = block.find(b"\n", found, stop)
            end = stop if end < 0 else end
            if start < end or self._matches_empty:
                yield start, end
            at = end + 1

    def _holds(self, line: bytes) -> bool:
        """Whether a line that matches without word boundaries matches with them."""
        if not line:  # decided before
            return True
        if line.isascii():
            program = self._ascii
        else:
            program = self._marked
            if self._pattern.has_unicode_boundaries:
                line = _marks().sub(r"_\g<0>_", line.decode()).encode()
        return program.Match(_UNANCHORED, line, 0, len(line))[0][0] >= 0

    @cached_property
    def _wide(self) -> Any:
        """The pattern for texts that are not ASCII, without its word boundaries."""
        return self._program(self._pattern.written(UNICODE_END, boundaries=False))

    @cached_property
    def _marked(self) -> Any:
        """The pattern for a line with marks; it never begins to match within a character."""
        marked = marked_characters() if self._pattern.has_unicode_boundaries else ()
        written = self._pattern.written(UNICODE_END, marked=marked)
        return self._program(rb"\A(?:%b)*?(?:%b)" % (any_character(marked), written))

    def _program(self, written: bytes) -> Any:
        options = re2.Options()
        options.never_capture = True
        options.log_errors = False
        options.max_mem = _MEMORY_BYTES
        program = _re2.RE2(written, options)
        if not program.ok():
            reason = program.error().decode(errors="replace")
            raise ContextError(
                f"grep: {self._pattern.source!r} is too large ({reason[:80]}): repeat less often, "
                "or grep its parts.",
                pattern=self._pattern.source,
            )
        return program


@lru_cache(maxsize=_KEPT_PATTERNS)
def linear(pattern: "re.Pattern[str]") -> LinearPattern:
    """A pattern of `re`, to be matched by RE2.

    Raises:
        ContextError: It holds what has no linear time, or is too large.
    """
    return LinearPattern(Expression(pattern))


@cache
def _marks() -> "re.Pattern[str]":
    return re.compile(r"[^\x00-\x7f\W]|_")


def _with_returns(block: bytes, found: list[Range]) -> list[Range]:
    r"""Ranges in a block whose lines end in "\r\n", from those in the same block without "\r"."""
    ranges, counted, returns = [], 0, 0
    for low, high in found:
        at = low + returns
        # Each carriage return that lies before the line moves it on, perhaps behind another one.
        while (moved := low + returns + block.count(b"\r\n", counted, at + 1)) != at:
            at = moved
        counted, returns = at, at - low
        ranges.append((at, at + high - low))
    return ranges
