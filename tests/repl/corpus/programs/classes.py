import abc
import enum
import functools
from collections import OrderedDict, UserDict, UserList, deque, namedtuple
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass
from enum import Enum, Flag, IntEnum, StrEnum, auto
from typing import Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

T = TypeVar("T")


class Stack(Generic[T]):
    def __init__(self) -> None:
        self._items: list[T] = []
        self.__secret = 1

    def push(self, item: T) -> "Stack[T]":
        self._items.append(item)
        self.__secret += 1
        return self

    @property
    def top(self):
        return self._items[-1]

    @top.setter
    def top(self, value):
        self._items[-1] = value

    @staticmethod
    def make(*items):
        s = Stack()
        for i in items:
            s.push(i)
        return s

    @classmethod
    def empty(cls):
        return cls()

    def secret(self):
        return self.__secret


s = Stack[int]().push(1).push(2)
s.top = 7
print(s.top, s._items, Stack.make(1, 2).top, Stack.empty()._items, s.secret())


class Registry:
    known = {}

    def __init_subclass__(cls, key=None, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.key = key
        Registry.known[key or cls.__name__] = cls


class A(Registry, key="a"):
    pass


class B(Registry):
    pass


print(sorted(Registry.known), A.key, B.key, B.__name__, A.__qualname__, A.__module__)


class Typed:
    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, obj, owner=None):
        return self if obj is None else getattr(obj, self.name, None)

    def __set__(self, obj, value):
        if not isinstance(value, int):
            raise TypeError("int wanted")
        setattr(obj, self.name, value)


class P:
    x = Typed()

    def __init__(self, x):
        self.x = x

    def __getattr__(self, name):
        if name.startswith("dyn_"):
            return name[4:]
        raise AttributeError(name)

    def __setattr__(self, name, value):
        super().__setattr__(name, value)

    def __delattr__(self, name):
        object.__delattr__(self, name)


p = P(3)
p.y = 5
print(p.x, p.dyn_abc, p.y, hasattr(p, "nope"), getattr(p, "zip", 0), sorted(vars(p)))
del p.y
try:
    p.x = "s"
except TypeError as e:
    print(e)


class Color(Enum):
    RED = 1
    BLUE = auto()
    GREEN = "g"

    @classmethod
    def _missing_(cls, value):
        return cls.RED

    @property
    def pretty(self):
        return self.name.title()

    def __str__(self):
        return f"<{self.pretty}>"


class Planet(Enum):
    EARTH = (5.97e24, 6.37e6)
    MARS = (6.4e23, 3.39e6)

    def __init__(self, mass, radius):
        self.mass = mass
        self.radius = radius


class Perm(Flag):
    R = auto()
    W = auto()


class Size(StrEnum):
    S = auto()
    L = "large"


class Lvl(IntEnum):
    LO = 1
    HI = 2

    def __new__(cls, value):
        obj = int.__new__(cls, value)
        obj._value_ = value
        return obj


print(Color("zzz"), Color.BLUE.value, Color["GREEN"], [c.name for c in Color], str(Color.RED), repr(Color.RED))
print(Planet.EARTH.mass, Planet.MARS.value, Perm.R | Perm.W, Perm.R in (Perm.R | Perm.W), Size.L, Size("s").name, Lvl.HI > 1, sorted(Lvl))
print(isinstance(Lvl.HI, Enum), isinstance(Color.RED, Color), Color.RED is Color(1), len(Color), list(Color.__members__))
Animal = Enum("Animal", "CAT DOG")
print(Animal.DOG.value, list(Animal), Enum("Q", {"a": 5}).a.value, IntEnum("I", ["x", "y"]).y + 1)


@dataclass(frozen=True, slots=True)
class Pt:
    x: int
    y: int = 0
    tags: tuple = field(default=(), compare=False, repr=False)

    def __post_init__(self):
        object.__setattr__(self, "y", self.y + 1)


pt = Pt(1, 2)
print(pt, pt == Pt(1, 2), hash(pt) == hash(Pt(1, 2)), [f.name for f in fields(pt)], is_dataclass(Pt))
try:
    pt.x = 5
except Exception as e:
    print(type(e).__name__, e)


@dataclass(kw_only=True)
class Base:
    name: str
    items: list[int] = field(default_factory=list)


@dataclass
class Child(Base):
    n: int = 0

    @property
    def total(self):
        return sum(self.items) + self.n


c = Child(name="k", n=2)
c.items.append(4)
c.n += 1
print(c, c.total, c == Child(name="k", n=3, items=[4]))
M = make_dataclass("M", ["a", ("b", int)])
print(M(1, 2))


class Emp(NamedTuple):
    name: str
    id: int = 3

    def tag(self):
        return f"{self.name}#{self.id}"


print(Emp("x").tag(), Emp("y", 1)._asdict(), Emp._fields, Emp("z")._replace(id=9), NamedTuple("N", [("a", int)])(4))
Q = namedtuple("Q", "a b", defaults=[5])
print(Q(1), Q(1).b, Q._make([7, 8]), Q(1) == (1, 5), Q.__doc__, type(Q(1)).__name__)


@runtime_checkable
class Named(Protocol):
    name: str

    def hello(self) -> str: ...


class Impl:
    name = "i"

    def hello(self):
        return "hi"


print(isinstance(Impl(), Named), isinstance(3, Named))


class Shape(abc.ABC):
    @property
    @abc.abstractmethod
    def area(self): ...

    def describe(self):
        return f"{self.__class__.__name__} {self.area:.2f}"


class Sq(Shape):
    def __init__(self, s):
        self.s = s

    @property
    def area(self):
        return self.s**2


print(Sq(2).describe())


class Meta2(metaclass=abc.ABCMeta):
    @abc.abstractmethod
    def f(self): ...


try:
    Meta2()
except TypeError as e:
    print("abstract")


class MyErr(ValueError):
    def __init__(self, code, msg):
        super().__init__(msg)
        self.code = code

    def __str__(self):
        return f"[{self.code}] {super().__str__()}"


try:
    raise MyErr(5, "bad")
except ValueError as e:
    print(e, e.code, e.args, isinstance(e, MyErr))


class D(UserDict):
    def __getitem__(self, k):
        return super().__getitem__(k) * 2


class L(UserList):
    def total(self):
        return sum(self.data)


print(D(a=2)["a"], L([1, 2]).total(), OrderedDict(a=1).popitem(), deque([1, 2, 3], maxlen=2))


@functools.total_ordering
class V:
    def __init__(self, n):
        self.n = n

    def __eq__(self, o):
        return self.n == o.n

    def __lt__(self, o):
        return self.n < o.n

    def __hash__(self):
        return hash(self.n)


print(max(V(1), V(4)).n, V(2) >= V(2), len({V(1), V(1)}))


class Singleton:
    _instance = None

    def __new__(cls, *args):
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance


print(Singleton() is Singleton())


class Ctx:
    def __enter__(self):
        print("in")
        return self

    def __exit__(self, *exc):
        print("out", exc[0] and exc[0].__name__)
        return True


with Ctx() as cx:
    raise KeyError("k")


class Node:
    __slots__ = ("left", "right", "value")

    def __init__(self, value, left=None, right=None):
        self.value, self.left, self.right = value, left, right

    def __iter__(self):
        if self.left:
            yield from self.left
        yield self.value
        if self.right:
            yield from self.right


print(list(Node(2, Node(1), Node(3))))


class Mixin1:
    def who(self):
        return ["m1"]


class Mixin2:
    def who(self):
        return ["m2"]


class Both(Mixin1, Mixin2):
    def who(self):
        return super().who() + Mixin2.who(self)


print(Both().who(), issubclass(Both, Mixin2), Both.__name__, Both().__class__ is Both, type(Both()) is Both)


class Matrix:
    def __init__(self, rows):
        self.rows = rows

    def __matmul__(self, o):
        return Matrix([[sum(a * b for a, b in zip(r, c)) for c in zip(*o.rows)] for r in self.rows])

    def __getitem__(self, ij):
        return self.rows[ij[0]][ij[1]]

    def __setitem__(self, ij, v):
        self.rows[ij[0]][ij[1]] = v

    def __neg__(self):
        return Matrix([[-x for x in r] for r in self.rows])

    def __call__(self, f):
        return [[f(x) for x in r] for r in self.rows]

    def __format__(self, spec):
        return f"M{spec}"


m = Matrix([[1, 2], [3, 4]])
m[0, 0] += 9
print((m @ m).rows, (-m)[1, 1], m(str), f"{m:zz}", "{:q}".format(m))
o = type("x", (), {}) if False else object()
print(type(o).__name__, callable(m), repr(type(m)), str(type(5)), type(None), type(len).__name__)
m.__dict__["extra"] = 5
print(m.extra, m.__dict__.get("extra"), "rows" in m.__dict__)
vars(m).update(more=1)
print(m.more, enum.auto is auto)


def add_repr(cls):
    cls.__repr__ = lambda self: f"{cls.__name__}!"
    return cls


@add_repr
class Rep: ...


print(Rep())
