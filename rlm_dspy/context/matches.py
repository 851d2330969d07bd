"""`grep`: the lines of a piece that match a regular expression.

Patterns are those of the standard library's `re`, matched line by line; a match never spans lines.
It promises no bound on the time of a pattern that backtracks: the REPL's step timeout gives that.
"""

import re
from itertools import islice
from typing import Any

from rlm_dspy.context.lines import line_blocks, line_ranges
from rlm_dspy.context.pieces import plain
from rlm_dspy.errors import ContextError


def compiled(pattern: Any, *, ignore_case: bool) -> "re.Pattern[str]":
    """A pattern to match with.

    Raises:
        ContextError: It is not a regular expression.
    """
    flags = re.IGNORECASE if ignore_case else 0
    if isinstance(pattern, re.Pattern):
        pattern, flags = pattern.pattern, flags | pattern.flags
    pattern = plain(pattern)
    try:
        if not isinstance(pattern, str):
            raise TypeError("it must be a str")
        return re.compile(pattern, flags)
    except (re.error, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ContextError(
            f"grep: {pattern!r} is not a regular expression ({error}). "
            "Escape plain text with re.escape(...), or use find(...).",
            pattern=pattern,
        ) from error


def matching_lines(
    source: Any, pattern: "re.Pattern[str]", limit: int | None
) -> list[tuple[int, int, str]]:
    """Start, end and text of the first `limit` lines of a located piece that match (None: all)."""
    buffer, sought = source._context._buffer, pattern.search
    literal = _literal(pattern)
    found = (
        place
        for at, block in line_blocks(buffer, source.start, source.end)
        if literal is None or literal in block
        for place in line_ranges(block, at)
        if sought(place[2])
    )
    return list(islice(found, limit))


def _literal(pattern: "re.Pattern[str]") -> str | None:
    """The text that a pattern without any operator stands for."""
    text = pattern.pattern
    plain_text = not pattern.flags & (re.IGNORECASE | re.VERBOSE) and re.escape(text) == text
    return text if plain_text else None
