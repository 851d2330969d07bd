import functools
import itertools
import operator
from contextlib import ExitStack, closing, contextmanager, nullcontext, redirect_stdout, suppress
from io import StringIO


def retry(times=2):
    def deco(fn):
        @functools.wraps(fn)
        def inner(*args, **kwargs):
            for i in range(times):
                try:
                    inner.attempts += 1
                    return fn(*args, **kwargs)
                except ValueError as e:
                    last = e
            raise last

        inner.attempts = 0
        return inner

    return deco


@retry(times=3)
def flaky(n):
    """doc"""
    if flaky.attempts < n:
        raise ValueError(f"try {flaky.attempts}")
    return flaky.attempts


print(flaky(2), flaky.__name__, flaky.__doc__, flaky.__wrapped__.__name__)


@functools.lru_cache(maxsize=None)
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


print(fib(80), fib.cache_info().hits > 0, fib.__name__)
fib.cache_clear()


@functools.singledispatch
def show(x):
    return f"obj {x}"


@show.register(int)
def _(x):
    return f"int {x}"


@show.register
def _(x: list):
    return f"list of {len(x)}"


print(show(1), show([1]), show("s"))


def gen(n):
    try:
        for i in range(n):
            got = yield i
            if got:
                print("got", got)
    except GeneratorExit:
        print("closed")
    finally:
        print("fin")


g = gen(3)
print(next(g), g.send("hi"))
g.close()


def outer():
    x = 1

    def inner():
        nonlocal x
        x += 1
        return x

    return inner


f = outer()
print(f(), f())


@contextmanager
def tag(name):
    print(f"<{name}>")
    try:
        yield name
    except KeyError as e:
        print("swallowed", e)
    finally:
        print(f"</{name}>")


with tag("a"), tag("b") as b:
    raise KeyError(b)

buf = StringIO()
with redirect_stdout(buf):
    print("captured")
print(repr(buf.getvalue()))
with ExitStack() as stack:
    stack.enter_context(tag("s"))
    stack.callback(print, "bye")
with suppress(ZeroDivisionError), nullcontext(5) as five:
    print(five)
    1 / 0


def kw(a, /, b, *args, c=3, **rest):
    return a, b, args, c, rest


print(kw(1, 2, 3, 4, c=5, d=6), kw(*[1, 2], **{"c": 9}))
print(sorted(["b", "A", "c"], key=str.lower), sorted([(1, "b"), (1, "a")], key=operator.itemgetter(1)))
print(functools.reduce(operator.add, [1, 2, 3]), list(map(operator.methodcaller("upper"), "ab")))
print(list(itertools.starmap(pow, [(2, 3)])), list(itertools.islice(itertools.count(5, 2), 3)), list(itertools.batched("abc", 2)) if hasattr(itertools, "batched") else "nb")
print([*itertools.groupby("aab")][0][0], list(itertools.compress("abc", [1, 0, 1])))
pipeline = [str.strip, str.title, lambda s: s + "!"]
print(functools.reduce(lambda v, fn: fn(v), pipeline, "  hi there "))
print((lambda *a, **k: (a, k))(1, z=2), [(lambda i=i: i)() for i in range(3)])
total = 0
for i in range(10):
    if i == 3:
        continue
    if i == 6:
        break
    total += i
else:
    print("never")
print(total)
x = [1, 2, 3]
x[0], *x[1:] = 9, 8
print(x)
print({**{"a": 1}, **{"b": 2}}, [*range(2), *"z"], {k: v for k, v in zip("ab", [1, 2])})
try:
    try:
        int("q")
    except ValueError as e:
        raise RuntimeError("outer") from e
except RuntimeError as e:
    print(e, "|", e.__cause__, e.__context__ is e.__cause__)
try:
    raise ExceptionGroup("eg", [ValueError(1), TypeError(2)])
except ExceptionGroup as eg:
    print(eg.message, [type(e).__name__ for e in eg.exceptions])
e = ValueError("n")
e.add_note("a note")
print(e.__notes__)


def fn():
    return locals()


def fn2(a, b=2):
    c = 3
    return sorted(locals())


print(fn(), fn2(1), "fn" in globals(), globals()["total"], sorted(n for n in dir() if n.startswith("fn")))
globals()["made"] = 5
print(made, type(globals()["fn"]).__name__)
print(fn2.__name__, fn2.__doc__, kw.__name__, (lambda: 0).__name__)


def annotated(a: int, b: "str" = "x") -> float:
    return 1.0


print(annotated.__annotations__)
match {"kind": "circle", "r": 2, "extra": [1, 2, (3, 4)]}:
    case {"kind": "square"}:
        print("sq")
    case {"kind": str(k), "r": int() | float() as r, "extra": [_, *mid, (a, b)], **rest} if r > 1:
        print(k, r, mid, a, b, rest)


class Pos:
    __match_args__ = ("x", "y")

    def __init__(self, x, y):
        self.x = x
        self.y = y


class K:
    ZERO = 0


for item in [Pos(0, 1), Pos(5, 5), 3, "s", None, True, 2.5, [1], (1, 2), {"z": 1}, 0]:
    match item:
        case Pos(K.ZERO, y):
            print("zero", y)
        case Pos(x=a, y=b) if a == b:
            print("diag", a)
        case bool(b):
            print("bool", b)
        case K.ZERO:
            print("K.ZERO")
        case int(n) | float(n):
            print("num", n)
        case str() | None:
            print("str or none")
        case [one]:
            print("one", one)
        case (p, q):
            print("two", p, q)
        case {"z": z}:
            print("z", z)


class Counted:
    def hit(self):
        return 1

    hit.calls = 3


print(Counted().hit.calls, Counted.hit.calls, Counted().hit.__name__, Counted().hit())
