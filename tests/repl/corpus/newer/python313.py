# Defaults of type parameters, and what 3.13 added to the library.
import copy
import itertools
import math
import statistics
import typing
from dataclasses import dataclass


class Box[T = int, *Ts = *tuple[str, ...]]:
    def __init__(self, value: T) -> None:
        self.value = value


type Maybe[T = str] = T | None


def make[T = float](value: T) -> Box[T]:
    return Box(value)


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0


print(make(2.5).value, Maybe, Box[str], typing.get_args(Maybe[int]))
print(copy.replace(Point(1), y=5), math.fma(2, 3, 4))
print(round(statistics.kde([1, 2, 4], h=1.0)(2), 4), list(itertools.batched([1, 2, 3, 4], 2)))


class Old:
    @property
    def doubled(self):
        """
        Twice.
            indented
        """
        return 2


print(repr(Old.doubled.__doc__), Old().doubled)
print(sorted(name for name in vars(Point) if not name.startswith("__")))
