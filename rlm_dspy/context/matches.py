"""`grep`: the lines of a piece that match a regular expression.

Patterns are those of the standard library's `re`, matched line by line; a match never spans lines.
With RE2 (the extra `search`) every pattern takes time linear in the text, on all cores where the
context may use them, and what has no linear time is refused. Without it `re` matches and promises
no bound: the REPL's step timeout gives that.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import islice
from typing import Any, Protocol

from rlm_dspy.context.lines import line_bytes
from rlm_dspy.context.pieces import plain
from rlm_dspy.context.rewriting import Range, literal_of
from rlm_dspy.errors import ContextError

# Shorter texts are searched before threads are started; in bytes.
_LEAST_FOR_THREADS = 32 << 20


class Matcher(Protocol):
    """A pattern that finds lines.

    Attributes:
        concurrent: Whether several threads get done with it sooner than one.
    """

    concurrent: bool

    def ranges(self, block: bytes, stop: int) -> list[Range]:
        """The lines of a block that match.

        Args:
            block: Lines as UTF-8.
            stop: Where the last of them ends, behind its newline if it has one.

        Returns:
            Where each begins and ends in the block, its line end left out.
        """
        ...


class Literal:
    """A pattern without any operator.

    Args:
        text: What a line must contain.
    """

    concurrent = False

    def __init__(self, text: str):
        # A lone surrogate is in no text; its bytes are in no UTF-8.
        self._text = text.encode("utf-8", "surrogatepass")

    def ranges(self, block: bytes, stop: int) -> list[Range]:
        """As `Matcher.ranges`."""
        found, sought, at = [], self._text, 0
        while at < stop and (place := block.find(sought, at, stop)) >= 0:
            start = block.rfind(b"\n", at, place) + 1 or at
            end = block.find(b"\n", place, stop)
            end = stop if end < 0 else end
            at = end + 1
            end -= block.endswith(b"\r", start, end)
            if place + len(sought) <= end:
                found.append((start, end))
        return found


class Backtracking:
    """A pattern that `re` matches.

    Args:
        pattern: Any pattern for str.
    """

    concurrent = False

    def __init__(self, pattern: "re.Pattern[str]"):
        self._search = pattern.search

    def ranges(self, block: bytes, stop: int) -> list[Range]:
        """As `Matcher.ranges`."""
        found, at, sought = [], 0, self._search
        rows = block[:stop].split(b"\n")
        if not rows[-1]:
            rows.pop()
        for row in rows:
            line = row.removesuffix(b"\r")
            if sought(line.decode()):
                found.append((at, at + len(line)))
            at += len(row) + 1
        return found


def matcher(pattern: Any, *, ignore_case: bool = False) -> Matcher:
    """A pattern to match lines with.

    Args:
        pattern: A regular expression as a str, or one that was compiled.
        ignore_case: Upper and lower case alike.

    Raises:
        ContextError: It is no regular expression, or (with RE2) one that takes no linear time.
    """
    compiled = _compiled(pattern, ignore_case=ignore_case)
    linear = with_re2()
    if linear is not None:
        return linear(compiled)
    literal = literal_of(compiled)
    return Backtracking(compiled) if literal is None else Literal(literal)


@cache
def with_re2() -> Callable[["re.Pattern[str]"], Matcher] | None:
    """What makes a matcher with RE2, where it is installed; a process that is to be locked down
    asks before.
    """
    try:
        from rlm_dspy.context.linear import linear
    except ImportError:
        return None
    return linear


def matching_lines(
    source: Any, pattern: Matcher, limit: int | None
) -> Iterator[tuple[int, int, str]]:
    """Start, end and text of the first `limit` lines of a located piece that match (None: all)."""
    return islice(_matching(source, pattern), limit)


def matching_count(source: Any, pattern: Matcher) -> int:
    """How many lines of a located piece match."""
    return sum(len(found) for _, _, found in _searched(source, pattern))


def _matching(source: Any, pattern: Matcher) -> Iterator[tuple[int, int, str]]:
    char_of = source._context._buffer.char_of
    for at, block, found in _searched(source, pattern):
        for low, high in found:
            start, text = char_of(at + low), block[low:high].decode()
            yield start, start + len(text), text


def _searched(source: Any, pattern: Matcher) -> Iterator[tuple[int, bytes, list[Range]]]:
    """The blocks of a located piece, each with the byte where it starts and its matching lines."""
    blocks = line_bytes(source._context._buffer, source.start, source.end)
    cores = source._context._cores
    if not pattern.concurrent or cores == 1 or len(source) < _LEAST_FOR_THREADS:
        for at, block, stop in blocks:
            yield at, block, pattern.ranges(block, stop)
        return
    with ThreadPoolExecutor(cores) as pool:
        ahead: deque[tuple[int, bytes, Future[list[Range]]]] = deque()
        for at, block, stop in blocks:
            ahead.append((at, block, pool.submit(pattern.ranges, block, stop)))
            if len(ahead) > 2 * cores:
                yield _done(ahead)
        while ahead:
            yield _done(ahead)


def _done(ahead: deque[tuple[int, bytes, Future[list[Range]]]]) -> tuple[int, bytes, list[Range]]:
    at, block, found = ahead.popleft()
    return at, block, found.result()


def _compiled(pattern: Any, *, ignore_case: bool) -> "re.Pattern[str]":
    flags = re.IGNORECASE if ignore_case else 0
    if isinstance(getattr(pattern, "flags", None), int):  # of `re`, or what stands for it
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
