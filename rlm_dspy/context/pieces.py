"""The `str` operations whose results are pieces of the same text, each still knowing where it is.

`Pieces` gives slicing, splitting and stripping to `Span` (a `str` itself) and to the larger views
(which are not). It promises what `str` gives for the same call, as located pieces; a slice with a
step is not a piece of the text any more and comes back as a plain `str`.
"""

from typing import TYPE_CHECKING, Any, SupportsIndex


class Pieces:
    """Slicing, splitting and stripping; results are pieces of the same context."""

    __slots__ = ()

    # Declared, not defined: a definition here would stand before the one of `str`.
    if TYPE_CHECKING:

        def __len__(self) -> int: ...

        def _whole(self) -> str:
            """The text, as a plain `str`."""
            ...

        def _character(self, index: int) -> str:
            """One character, by an offset from the beginning."""
            ...

        def _piece(self, start: int, end: int, text: str | None = None) -> Any:
            """The piece between two offsets of this one, and its text if it is known."""

    def __getitem__(self, key: SupportsIndex | slice) -> Any:
        if not isinstance(key, slice):
            return self._character(_offset(key, len(self)))
        start, end, step = key.indices(len(self))
        if step != 1:
            return self._whole()[key]
        return self._piece(start, max(start, end))

    def split(self, sep: Any = None, maxsplit: SupportsIndex = -1) -> list[Any]:
        """As `str.split`; the parts are pieces."""
        text = self._whole()
        return self._placed(text, text.split(plain(sep), maxsplit), len(sep or ""))

    def rsplit(self, sep: Any = None, maxsplit: SupportsIndex = -1) -> list[Any]:
        """As `str.rsplit`; the parts are pieces."""
        text = self._whole()
        return self._placed(text, text.rsplit(plain(sep), maxsplit), len(sep or ""))

    def _placed(self, text: str, parts: list[str], gap: int) -> list[Any]:
        """Parts in their order, `gap` characters apart, or with any white space between if 0."""
        pieces, at = [], 0
        for part in parts:
            start = at if gap else text.index(part, at)
            pieces.append(self._piece(start, start + len(part), part))
            at = start + len(part) + gap
        return pieces

    def splitlines(self, keepends: bool = False) -> list[Any]:
        """As `str.splitlines`; the lines are pieces."""
        text, pieces, at = self._whole(), [], 0
        for line, full in zip(text.splitlines(), text.splitlines(True), strict=True):
            kept = full if keepends else line
            pieces.append(self._piece(at, at + len(kept), kept))
            at += len(full)
        return pieces

    def partition(self, sep: Any) -> tuple[Any, Any, Any]:
        """As `str.partition`; the three are pieces."""
        return self._parted(self._whole().partition(plain(sep)))

    def rpartition(self, sep: Any) -> tuple[Any, Any, Any]:
        """As `str.rpartition`; the three are pieces."""
        return self._parted(self._whole().rpartition(plain(sep)))

    def _parted(self, parts: tuple[str, str, str]) -> tuple[Any, Any, Any]:
        first = len(parts[0])
        second = first + len(parts[1])
        return (
            self._piece(0, first, parts[0]),
            self._piece(first, second, parts[1]),
            self._piece(second, second + len(parts[2]), parts[2]),
        )

    def strip(self, chars: Any = None, /) -> Any:
        """As `str.strip`, as a piece."""
        return self._trimmed(plain(chars), left=True, right=True)

    def lstrip(self, chars: Any = None, /) -> Any:
        """As `str.lstrip`, as a piece."""
        return self._trimmed(plain(chars), left=True, right=False)

    def rstrip(self, chars: Any = None, /) -> Any:
        """As `str.rstrip`, as a piece."""
        return self._trimmed(plain(chars), left=False, right=True)

    def _trimmed(self, chars: str | None, *, left: bool, right: bool) -> Any:
        text = self._whole()
        kept = text.lstrip(chars) if left else text
        start = len(text) - len(kept)
        kept = kept.rstrip(chars) if right else kept
        return self._piece(start, start + len(kept), kept)

    def removeprefix(self, prefix: Any, /) -> Any:
        """As `str.removeprefix`, as a piece."""
        cut = len(prefix) if self._begins(prefix) else 0
        return self._piece(cut, len(self))

    def removesuffix(self, suffix: Any, /) -> Any:
        """As `str.removesuffix`, as a piece."""
        cut = len(suffix) if self._ends(suffix) else 0
        return self._piece(0, len(self) - cut)

    def _begins(self, prefix: Any) -> bool:
        return self._whole().startswith(plain(prefix))

    def _ends(self, suffix: Any) -> bool:
        return self._whole().endswith(plain(suffix))


def _offset(index: SupportsIndex, length: int) -> int:
    """An index from either end as an offset."""
    number = index.__index__()
    offset = number + length if number < 0 else number
    if not 0 <= offset < length:
        raise IndexError("string index out of range")
    return offset


def plain(value: Any) -> Any:
    """Text of any kind of piece as `str`; anything else as it is, for `str` to judge."""
    give = getattr(value, "__rlm_text__", None)
    return value if give is None else give()
