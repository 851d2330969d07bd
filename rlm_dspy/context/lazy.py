"""Very many pieces of a context as a list that is read lazily: cut when asked for, never kept."""

from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

Range = tuple[int, int]

_SHOWN = 3


class LazyList(Sequence[Any]):
    """Pieces by their ranges; as any list, indexed from 0. Its length is known once all are found.

    Args:
        ranges: Where they start and end, in order.
        cut: Makes a piece of a start and an end.
    """

    __slots__ = ("_bounds", "_cut", "_left")

    def __init__(self, ranges: Iterator[Range], cut: Callable[[int, int], Any]):
        self._left = ranges
        self._cut = cut
        self._bounds = array("Q")  # start and end of each that was asked for so far

    def _find(self, count: int | None) -> int:
        """Looks until so many are known (None: all); how many are."""
        known = len(self._bounds) // 2
        for pair in islice(self._left, None if count is None else max(0, count - known)):
            self._bounds.extend(pair)
        return len(self._bounds) // 2

    def __len__(self) -> int:
        return self._find(None)

    def __bool__(self) -> bool:
        return self._find(1) > 0

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            first, last, step = key.start or 0, key.stop, key.step or 1
            forward = first >= 0 and last is not None and last >= 0 and step > 0
            known = self._find(last if forward else None)
            return [self._piece(number) for number in range(*key.indices(known))]
        known = self._find(None if key < 0 else key + 1)
        number = key + known if key < 0 else key
        if not 0 <= number < known:
            raise IndexError("list index out of range")
        return self._piece(number)

    def _piece(self, number: int) -> Any:
        return self._cut(self._bounds[2 * number], self._bounds[2 * number + 1])

    def __iter__(self) -> Iterator[Any]:
        # Not a generator: those hand their frame to whoever holds them.
        return _Walk(self)

    def __add__(self, other: Any) -> list[Any]:
        return [*self, *other]

    def __radd__(self, other: list[Any]) -> list[Any]:
        return [*other, *self]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (list, LazyList)) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        more = ", …" if self._find(_SHOWN + 1) > _SHOWN else ""
        return f"[{', '.join(map(repr, self[:_SHOWN]))}{more}]"


class _Walk(Iterator[Any]):
    __slots__ = ("_list", "_number")

    def __init__(self, pieces: LazyList):
        self._list = pieces
        self._number = 0

    def __next__(self) -> Any:
        if self._list._find(self._number + 1) <= self._number:
            raise StopIteration
        self._number += 1
        return self._list._piece(self._number - 1)
