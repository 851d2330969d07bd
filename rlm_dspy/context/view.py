"""A long piece of a context as a read-only `str` that is never decoded as a whole.

`View` answers `len`, indexing, slicing, `in`, `find`, `count`, stripping, comparison and iteration
from the UTF-8 buffer. What yields a new text of the same length (`lower`, `replace`, `split` …)
has to decode it once, as `str(view)` does. It promises what `str` gives for the same call, but for
`title`, which is the document's title, and `format`, which it does not have: a format string can
reach into its arguments' attributes.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from rlm_dspy.context.located import Home, Located
from rlm_dspy.context.pieces import plain
from rlm_dspy.context.transformed import Transformed

# Characters decoded at once when a view is walked.
_RUN = 1 << 16


class View(Located, Transformed):
    """A range of a context that behaves as a read-only `str`.

    Args:
        context: What it is a piece of.
        start: Where it starts there, in characters.
        end: Where it ends there.
    """

    __slots__ = ("_context", "_end", "_start")

    def __init__(self, context: Home, start: int, end: int):
        self._context = context
        self._start = start
        self._end = end

    # What `Pieces` needs.

    def _whole(self) -> str:
        return self._context._buffer.text(self._start, self._end)

    def _piece(self, start: int, end: int, text: str | None = None) -> Any:
        return self._context._cut(self._start + start, self._start + end, text)

    def _character(self, index: int) -> str:
        at = self._start + index
        return self._context._buffer.text(at, at + 1)

    def _trimmed(self, chars: str | None, *, left: bool, right: bool) -> Any:
        low, high = 0, len(self)
        while left and low < high:
            kept = len(self[low : low + _RUN]._whole().lstrip(chars))
            low = min(low + _RUN, high) - kept
            left = not kept
        while right and low < high:
            first = max(low, high - _RUN)
            kept = len(self[first:high]._whole().rstrip(chars))
            high = first + kept
            right = not kept
        return self._piece(low, high)

    # Reading.

    def __len__(self) -> int:
        return self._end - self._start

    def __str__(self) -> str:
        return self._whole()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self):,} characters from {self._start:,}>"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __iter__(self) -> Iterator[str]:
        # Not a generator: those hand their frame to whoever holds them.
        return chain.from_iterable(map(self._run, range(self._start, self._end, _RUN)))

    def _run(self, start: int) -> str:
        return self._context._buffer.text(start, min(start + _RUN, self._end))

    def __bool__(self) -> bool:
        return self._end > self._start

    # Looking for something.

    def __contains__(self, needle: Any) -> bool:
        return self.find(needle) >= 0

    def _sought(
        self, seek: Callable[[str, int, int], int], needle: Any, low: Any, high: Any
    ) -> int:
        """Ask the buffer about `needle` within the slice [low:high]; -1 where there is no such."""
        needle = plain(needle)
        if not isinstance(needle, str):
            raise TypeError(f"must be str, not {type(needle).__name__}")
        start, end = self._bounds(low, high)
        return seek(needle, start, end) if start <= end else -1

    def find(self, sub: Any, start: Any = None, end: Any = None, /) -> int:
        """As `str.find`."""
        at = self._sought(self._context._buffer.find, sub, start, end)
        return at - self._start if at >= 0 else -1

    def rfind(self, sub: Any, start: Any = None, end: Any = None, /) -> int:
        """As `str.rfind`."""
        at = self._sought(self._context._buffer.rfind, sub, start, end)
        return at - self._start if at >= 0 else -1

    def index(self, sub: Any, start: Any = None, end: Any = None, /) -> int:
        """As `str.index`.

        Raises:
            ValueError: `sub` is not there.
        """
        if (at := self.find(sub, start, end)) < 0:
            raise ValueError("substring not found")
        return at

    def rindex(self, sub: Any, start: Any = None, end: Any = None, /) -> int:
        """As `str.rindex`.

        Raises:
            ValueError: `sub` is not there.
        """
        if (at := self.rfind(sub, start, end)) < 0:
            raise ValueError("substring not found")
        return at

    def count(self, sub: Any, start: Any = None, end: Any = None, /) -> int:
        """As `str.count`."""
        return max(0, self._sought(self._context._buffer.count, sub, start, end))

    def startswith(self, prefix: Any, start: Any = None, end: Any = None, /) -> bool:
        """As `str.startswith`."""
        low, high = self._bounds(start, end)
        return any(
            low + len(option) <= high and self._at(low, low + len(option)) == option
            for option in _options(prefix, "startswith")
        )

    def endswith(self, suffix: Any, start: Any = None, end: Any = None, /) -> bool:
        """As `str.endswith`."""
        low, high = self._bounds(start, end)
        return any(
            low + len(option) <= high and self._at(high - len(option), high) == option
            for option in _options(suffix, "endswith")
        )

    def _begins(self, prefix: Any) -> bool:
        return self.startswith(prefix)

    def _ends(self, suffix: Any) -> bool:
        return self.endswith(suffix)

    def _bounds(self, low: Any, high: Any) -> tuple[int, int]:
        """The slice [low:high] as offsets in the context; start > end where `str` sees nothing."""
        start, end, _ = slice(low, high).indices(len(self))
        # `str` finds nothing, not even an empty text, in a slice that begins behind its end.
        behind = low is not None and low > len(self)
        return self._start + start + behind, self._start + end

    def _at(self, start: int, end: int) -> str:
        return self._context._buffer.text(start, end)

    # Comparing.

    def __eq__(self, other: object) -> bool:
        if other is self:
            return True
        text = other if isinstance(other, View) else plain(other)
        if not isinstance(text, (str, View)):
            return NotImplemented
        if len(text) != len(self):
            return False
        return all(
            text[at : at + _RUN] == self._run(self._start + at) for at in range(0, len(self), _RUN)
        )

    def __hash__(self) -> int:
        return hash(self._whole())

    def __copy__(self) -> "View":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "View":
        # Nothing in it ever changes.
        return self


def _options(fixes: Any, name: str) -> tuple[str, ...]:
    """The one or several texts that `startswith` and `endswith` take."""
    options = tuple(map(plain, fixes)) if isinstance(fixes, tuple) else (plain(fixes),)
    if not all(isinstance(option, str) for option in options):
        raise TypeError(f"{name} first arg must be str or a tuple of str")
    return options
