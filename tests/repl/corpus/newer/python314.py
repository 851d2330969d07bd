# `except` without parentheses, annotations that name what comes later, and the 3.14 library.
import functools
import heapq
import operator
import typing
import uuid
from dataclasses import KW_ONLY, InitVar, dataclass, field, fields
from enum import Enum
from typing import ClassVar, NamedTuple, Protocol, TypedDict, runtime_checkable

try:
    int("x")
except ValueError, TypeError:
    print("caught")



@dataclass
class Tree:
    """A tree."""

    value: int
    left: Tree | None = None
    right: Tree | None = None
    count: ClassVar[int] = 0
    _: KW_ONLY
    seed: InitVar[int] = 0
    tags: list[Later] = field(default_factory=list)

    def __post_init__(self, seed):
        self.value += seed

    def grow(self, by: Tree) -> Tree:
        self.left = by
        return self


class Later: ...


print(Tree(1, seed=2).grow(Tree(5)), [f.name for f in fields(Tree)], Tree.__doc__)


@dataclass(slots=True, frozen=True, order=True)
class Slot:
    a: int
    b: list[Slot] = ()


print(Slot(1), Slot(1) < Slot(2), Slot.__slots__)


@dataclass
class Own:
    def __init__(self, a: Unknown, b: int = 1) -> Own:
        self.a = a


print(Own(3).a, Own.__name__)


class Pair(NamedTuple):
    left: int
    right: Pair | None = None


class Movie(TypedDict, total=False):
    title: str
    next: Movie


class Color(Enum):
    RED: int = 1
    GREEN = 2


@runtime_checkable
class Sized(Protocol):
    size: int

    def grow(self, by: Nothing) -> None: ...


class Thing:
    size = 1
    label: str
    if size:
        extra: int = 3

    def grow(self, by):
        return None


print(Pair(1, Pair(2)), Movie(title="x"), [c.name for c in Color], isinstance(Thing(), Sized))
print(Thing.__annotations__, Thing.extra, hasattr(Thing, "label"))


def total(items: list[int], start: int = 0, *rest: str, key: bool = False, **more: float) -> int:
    x: Undefined = sum(items, start)
    return x


print(total([1, 2]), total.__annotations__)


def ahead(x: Undefined) -> int:
    return x


try:
    print(ahead.__annotations__)
except NameError as e:
    print(e)


@functools.singledispatch
def show(value):
    return "other"


@show.register
def _(value: int) -> str:
    return f"int {value}"


print(show(3), show("x"), ahead(2))
number: int = 5
other: Undefined
if number:
    third: float
print(number)


class Cache[T]:
    kept: dict[str, T]
    __private: int = 4

    async def get(self, key: str) -> T: ...


print(list(Cache.__annotations__), Cache.__annotations__["_Cache__private"])
heap = [3, 1, 2]
heapq.heapify_max(heap)
print(heapq.heappop_max(heap), operator.is_none(None), type(int | str).__name__, int | str)
print(functools.partial(pow, functools.Placeholder, 2)(3), uuid.uuid7().version, len({uuid.NIL, uuid.MAX}))
print(typing.get_type_hints(total)["items"], float.from_number(3))


def tidy():
    try:
        return 1
    finally:
        print("tidied")


print(tidy())
