"""What a step prints: captured with bounded memory, cut in the middle, made safe to show.

Promises: however much is printed, about three times the limit is held; what comes out is at most
the limit's length and has no control, bidirectional or lone surrogate character in it.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from rlm_dspy.repl.names import exact

# C0 and C1 controls but tab and newline, DEL, bidirectional marks and overrides, line and paragraph
# separators, lone surrogates, and the invisible tag characters: they can rewrite a terminal or hide
# text from the person who reads it. A carriage return stays where a newline follows (CSV lines).
_UNSAFE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
    "\ud800-\udfff\U000e0000-\U000e007f]|\r(?!\n)"
)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code == 13:
        return "\\r"
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )


def escaped(text: str) -> str:
    """The text with every character that could harm a terminal or a reader written as an escape."""
    return _UNSAFE.sub(_escape, text)


def cut(head: str, tail: str, total: int, limit: int) -> str:
    """The start and the end of a text of `total` characters, in at most `limit` characters.

    Args:
        head: The text's first characters, at least `limit` of them or all.
        tail: The text's last characters, at least `limit` of them or all.
        total: The length of the whole text.
        limit: The length of the result.
    """
    if total <= limit:
        return head
    marker = f"\n... [{total - limit:,} of {total:,} characters cut here: print less] ...\n"
    room = max(0, limit - len(marker))
    if not room:
        return head[:limit]
    first = room - room // 2
    return head[:first] + marker + tail[len(tail) - (room - first) :]


class Capture:
    """The output of one step.

    Args:
        limit: How many characters `text` gives at most.
    """

    def __init__(self, limit: int):
        self._limit = max(1, limit)
        self._head: list[str] = []
        self._room = self._limit
        self._tail: list[str] = []
        self._tail_size = 0
        self.total = 0

    def write(self, text: str) -> None:
        """Adds text; beyond the limit only the last characters are held."""
        self.total += len(text)
        if self._room > 0:
            kept = text[: self._room]
            self._head.append(kept)
            self._room -= len(kept)
        self._end(text[-self._limit :])

    def skip(self, count: int) -> None:
        """Counts characters that were left out on the way here."""
        self.total += count
        self._room = 0

    def _end(self, text: str) -> None:
        self._tail.append(text)
        self._tail_size += len(text)
        if self._tail_size > 2 * self._limit:
            self._tail = ["".join(self._tail)[-self._limit :]]
            self._tail_size = self._limit

    def text(self) -> str:
        """What was written, cut to the limit and escaped."""
        raw = cut("".join(self._head), "".join(self._tail), self.total, self._limit)
        safe = escaped(raw)
        return cut(safe, safe, len(safe), self._limit)


class _Current:
    """The capture that `print` writes to."""

    capture = Capture(1)


def begin(capture: Capture) -> None:
    """Makes `capture` the place where output goes, until the next `begin`."""
    _Current.capture = capture
    STDOUT.target = STDERR.target = None


def written() -> int:
    """How many characters the step has written so far."""
    return _Current.capture.total


def printed() -> str:
    """What the step has written so far, as it will be shown."""
    return _Current.capture.text()


def emit_value(
    value: Any, text: Callable[[Any], str] = str, stream: "Stream | None" = None
) -> None:
    """Writes a value as `print` does; of a long text only the ends, without building the whole.

    Args:
        value: Anything.
        text: How to write a value that is not a long text: `str` or `repr`.
        stream: Where to; None: standard output.
    """
    stream = STDOUT if stream is None else stream
    capture = _Current.capture
    limit = capture._limit
    long = hasattr(type(value), "__rlm_text__") or (type(value) is str and text is repr)
    if long and stream.target is None and len(value) > 4 * limit:
        first, last = exact(text(value[:limit])), exact(text(value[-limit:]))
        capture.write(first)
        capture.skip(len(value) - 2 * limit)
        capture.write(last)
    else:
        stream.write(text(value))


class Stream:
    """What model code sees as `sys.stdout` or `sys.stderr`: both are the step's output.

    Args:
        name: Its name.

    Attributes:
        target: What it is redirected to; None: nothing.
    """

    __slots__ = ("_name", "target")

    def __init__(self, name: str):
        self._name = name
        self.target: Any = None

    def write(self, text: str) -> int:
        """Writes text to the step's output, or to where it was sent; returns its length."""
        plain = exact(text)
        (_Current.capture if self.target is None else self.target).write(plain)
        return len(plain)

    def writelines(self, lines: Iterable[str]) -> None:
        """Writes texts, one behind the other."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Does nothing: output is never held back."""

    def __repr__(self) -> str:
        return f"<{self._name}>"


STDOUT, STDERR = Stream("stdout"), Stream("stderr")
