"""What reading attributes leads to: every object that code gets at, a few steps on.

Nothing is called; each attribute is read through the guards, as the code's own reads are.
"""

import collections
import types

import pytest

from rlm_dspy.repl import classes, environment, guards, names, rules
from rlm_dspy.repl.facades import FACADES
from rlm_dspy.repl.namespace import Namespace

pytestmark = pytest.mark.slow
STEPS = 3
# One object of each kind that code can make.
MAKING = """
import abc, array, asyncio, calendar, collections, contextlib, csv, dataclasses, datetime, decimal
import difflib, enum, fractions, functools, graphlib, hashlib, html.parser, io, itertools, json
import operator, pprint, random, re, statistics, string, struct, textwrap, types, typing, uuid
import urllib.parse
@contextlib.contextmanager
def manager(): yield
@functools.lru_cache
def cached(x): return x
@functools.singledispatch
def dispatched(x): pass
async def generator(): yield
class User(abc.ABC):
    __slots__ = ("__dict__", "slot")
    @property
    def p(self): return 1
    @functools.cached_property
    def q(self): return 2
    def m(self): pass
@dataclasses.dataclass
class Data: x: int = 1
class Member(enum.Flag): A = 1
Tuple = collections.namedtuple("Tuple", "a b", defaults=[1])
def error(go):
    try: go()
    except Exception as e: return e
made = [
    manager, manager(), cached, dispatched, generator(), User, User(), User().m, Data, Data(),
    Member, Member.A, Tuple, Tuple(1), error(lambda: 1 / 0), error(lambda: json.x),
    error(lambda: {}.x),
    (i for i in ()), re.compile("(?P<a>a)"), re.match("a", "a"), io.StringIO(), io.BytesIO(),
    io.TextIOWrapper(io.BytesIO()), csv.reader([]), csv.DictReader(["a"]), csv.Sniffer(),
    csv.writer(io.StringIO()), json.JSONEncoder(), json.JSONDecoder(), functools.partial(len),
    collections.Counter("a"), collections.OrderedDict(), collections.defaultdict(int),
    collections.deque(), collections.ChainMap(), collections.UserDict(), collections.UserList(),
    asyncio.Queue(), asyncio.Lock(), asyncio.Event(), asyncio.Semaphore(), asyncio.new_event_loop(),
    *dataclasses.fields(Data), decimal.Context(), decimal.getcontext(), decimal.Decimal(1),
    datetime.datetime.now(), datetime.timezone.utc, string.Template("a"), string.Formatter(),
    random.Random(), difflib.SequenceMatcher(), difflib.HtmlDiff(), html.parser.HTMLParser(),
    textwrap.TextWrapper(), calendar.TextCalendar(), calendar.HTMLCalendar(),
    graphlib.TopologicalSorter(), uuid.uuid4(), array.array("b"), struct.Struct("b"), hashlib.md5(),
    statistics.NormalDist(), fractions.Fraction(1, 2), operator.attrgetter("a"),
    operator.itemgetter(1), itertools.count(), itertools.tee([1])[0], pprint.PrettyPrinter(),
    types.SimpleNamespace(a=1), types.MappingProxyType({}), typing.List[int], typing.TypeVar("T"),
    typing.NewType("X", int), *typing.get_args(typing.List["x"]), list[int], contextlib.ExitStack(),
    contextlib.suppress(), contextlib.nullcontext(), super(User, User()), super(User, User),
    property(len), classmethod(len), staticmethod(len), vars(User()), globals(), memoryview(b"a"),
    functools.cmp_to_key(len), ExceptionGroup("a", [ValueError(1)]), zip(), map(len, []), {}.keys(),
    functools.cached_property(len), functools.partialmethod(len), enum.auto(), dataclasses.field(),
    StopIteration(1), UnicodeDecodeError("a", b"b", 0, 1, "c"), OSError(1, "a"), SyntaxError("a"),
    urllib.parse.urlparse("http://a"), open, print, SUBMIT, llm_query, type, show_vars,
]
"""
SCALARS = (str, bytes, int, float, complex, type(None))
# Methods written in C: one of each kind is looked into, since they are all alike.
ALIKE = (
    types.BuiltinMethodType,
    types.ClassMethodDescriptorType,
    types.MethodDescriptorType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
)
NAMES = names.READABLE | names.PUBLIC_UNDERSCORES | names.ENUM_MAPS | {"fget", "func", "obj"}


@pytest.fixture(scope="module")
def reached():
    session = Namespace(lambda *call: None, tools=["llm_query"])
    result = session.run(MAKING)
    assert result.kind == "ok", result.message
    start = [(name, value) for name, value in environment.base_builtins().items()]
    start = [(name, value) for name, value in start if not name.startswith("@")]
    for module, facade in FACADES.items():
        start += [(f"{module}.{name}", value) for name, value in vars(facade).items()]
    made = session._variables["made"]
    start += [(f"made[{number}]", value) for number, value in enumerate(made)]
    return walk(start)


def walk(start):
    kinds: set[type] = set()
    seen, queue = {}, collections.deque((path, value, 0) for path, value in start)
    while queue:
        path, obj, steps = queue.popleft()
        if id(obj) in seen or isinstance(obj, SCALARS):
            continue
        seen[id(obj)] = (path, obj)
        if steps < STEPS and not (isinstance(obj, ALIKE) and type(obj) in kinds):
            kinds.add(type(obj))
            queue.extend((f"{path}.{n}", value, steps + 1) for n, value in parts(obj))
    return list(seen.values())


def parts(obj):
    yield "<type>", classes.stand_in(type(obj))
    if isinstance(obj, tuple | list):
        yield from ((str(number), value) for number, value in enumerate(obj[:20]))
    meta = dir(type(obj)) if isinstance(obj, type) else []
    try:
        own = dir(obj)
    except TypeError:  # a class that no one made an instance of
        own = []
    for name in NAMES.union(own, meta):
        try:
            yield name, guards.read_any(obj, name)
        except Exception:  # noqa: BLE001 - refused, or not there
            continue


def test_no_module_frame_code_or_class_of_classes(reached):
    kinds = (*rules.OPAQUE, types.ModuleType)
    assert [path for path, obj in reached if isinstance(obj, kinds)] == []
    shown = (classes._Kind, classes._TypeOfTypes)
    real = [(p, o) for p, o in reached if isinstance(o, type) and issubclass(o, type)]
    assert [path for path, obj in real if not isinstance(obj, shown)] == []


def test_every_class_is_known(reached):
    found = [(path, obj) for path, obj in reached if isinstance(obj, type)]
    closed = [
        path
        for path, obj in found
        if not isinstance(obj, classes._Kind)
        and not (rules.is_user_class(obj) or rules.is_open(obj) or obj in rules.OPEN_CLASSES)
        and classes.stand_in(obj) is obj
    ]
    assert closed == []


def test_no_method_of_the_library_without_its_object(reached):
    """Plain functions whose first parameter is `self` come wrapped (see `methods`)."""
    bare = [
        path
        for path, obj in reached
        if isinstance(obj, types.FunctionType)
        and not rules.is_user_function(obj)
        and not obj.__module__.startswith("rlm_dspy.")
        and "." in obj.__qualname__
        and "<locals>" not in obj.__qualname__
        and not path.endswith(("__new__", "_replace", "_asdict", ".__getitem__"))
    ]
    assert bare == []


def test_no_namespace_of_anything(reached):
    """No dictionary with the names of a module, of a class or of the session."""
    telling = {"__builtins__", "__loader__", "__dict__", "__module__", "@read", "dumps"}
    found = [path for path, obj in reached if isinstance(obj, dict) and telling & obj.keys()]
    assert found == []
