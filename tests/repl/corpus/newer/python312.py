# Type parameters and aliases, nested f-strings, and what 3.12 added to the library.
import itertools
import math
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import NamedTuple, Protocol

type Pair[A, B] = tuple[A, B]
type Row = dict[str, int | str]
type Tree[T] = T | list[Tree[T]]
type Handler[**P, *Ts] = Callable[P, tuple[*Ts]]


def first[T](items: Iterable[T], default: T | None = None) -> T | None:
    return next(iter(items), default)


async def later[T: (int, str)](value: T) -> T:
    return value


def call[**P, R](function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    return function(*args, **kwargs)


class Stack[T: object]:
    """A stack."""

    size = 0

    def __init__(self, *items: T) -> None:
        self._items: list[T] = list(items)
        self.__secret = len(items)

    def push[U](self, item: T, also: U) -> "Stack[T]":
        self._items.append(item)
        self.size += 1
        return self

    def secret(self):
        return self.__secret


class Counts[T](dict[T, int]):
    def add(self, key: T) -> None:
        self[key] = self.get(key, 0) + 1


class Named[T](Protocol):
    def name(self) -> T: ...


@dataclass(order=True)
class Item[T]:
    value: T
    weight: float = 1.0
    tags: list[str] = field(default_factory=list)


class Entry[K](NamedTuple):
    key: K
    count: int = 0


class Special(Stack[int]):
    pass


print(first([3, 4]), first([], "none"), call(max, 1, 5), first.__name__)
stack = Stack(1, 2).push(3, "x")
print(stack._items, stack.size, stack.secret(), Stack[int](5)._items, Stack.__doc__)
print(Special(7).push(8, None)._items, issubclass(Special, Stack))
counts = Counts[str]()
counts.add("a")
counts.add("a")
print(counts, Item(3, tags=["a"]), Item(1) < Item(2), [f.name for f in fields(Item)])
print(Entry("k"), Entry("k", 2).count, Entry._fields)
print(Row, Pair[int, str], Tree, typing.get_args(Pair[int, str]), typing.get_origin(Pair[int, str]) is Pair)
print(Pair.__name__, isinstance(Row, typing.TypeAliasType), type(Row).__name__)
print(Stack[int], Stack[int] == Stack[int], typing.get_args(Stack[int]))

names = ["a", "b"]
width = 8
print(f"{', '.join(f"{n!r}: {len(n)}" for n in names)} {f"{f"{width}"}"} {"\n".join(names)!r:>{width}}")
print(f"{width=} {stack.size = } {names[0]:{'>'}{width}}|")

print(list(itertools.batched("abcde", 2)), math.sumprod([1, 2], [3, 4]))


def outer():
    class Local[T]:
        inner: T | None = None

        def get[U](self, other: U) -> tuple[T | None, U]:
            return self.inner, other

    return Local


print(outer()().get(1), outer().__name__)


class Space:
    kind = int
    type Alias = kind

    def use(self, value: Alias) -> Alias:
        return value


print(Space().use(3), Space.Alias)


@typing.override
def plain():
    return [x for x in range(3) if (y := x)], y


print(plain())
