"""Classes of model code: what stands in front of their special methods, and what they show."""

import pytest

from rlm_dspy.repl.namespace import Namespace


@pytest.fixture
def session():
    return Namespace(lambda *call: None)


GRAPH = """
import copy
class Node:
    def __init__(self, name): self.name, self.next = name, None
    def __deepcopy__(self, memo):
        new = Node(self.name + "'")
        memo[id(self)] = new
        new.next = copy.deepcopy(self.next, memo)
        return new
a, b = Node("a"), Node("b")
a.next, b.next = b, a
c = copy.deepcopy(a)
print(c.name, c.next.name, c.next.next is c, a.next is b)
"""


def test_a_cycle_is_copied_by_the_memo_of_ones_own(session):
    assert session.run(GRAPH).output == "a' b' True True\n"


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        (
            "class A:\n    def __getattr__(self, n): return n\n"
            "print(A().x, hasattr(A(), '__len__'))",
            "x False\n",
        ),
        ("class A:\n    __getattr__ = str.upper\nprint(hasattr(A, 'x'))", "False\n"),
        (
            "class R(dict):\n    __getattr__ = dict.get\nprint(R(a=1).a, R().b)",
            "1 None\n",
        ),
        (
            "class A:\n    _one = None\n    def __new__(cls):\n"
            "        cls._one = cls._one or super().__new__(cls)\n        return cls._one\n"
            "print(A() is A())",
            "True\n",
        ),
        ("class A:\n    def __new__(cls): return 5\nprint(A())", "5\n"),
        (
            "class A(int):\n    def __new__(cls, x): return super().__new__(cls, x + 1)\n"
            "print(A(1))",
            "2\n",
        ),
        (
            "class A: pass\nclass B(A): pass\n"
            "print([c.__name__ for c in B.__mro__], B.__bases__ == (A,), A.__subclasses__() == [B],"
            " B.mro()[0] is B)",
            "['B', 'A', 'object'] True True True\n",
        ),
        (
            "import enum\nclass E(enum.IntEnum): A = 1\nprint([c.__name__ for c in E.__mro__],"
            " 1 in E._value2member_map_)",
            "['E', 'IntEnum', 'int', 'object'] True\n",
        ),
        (
            "class P:\n    @property\n    def x(self): return 3\nprint(P.x.fget(P()))",
            "3\n",
        ),
        (
            "class A:\n    match {'k': 1}:\n        case dict(found): pass\n"
            "print([n for n in vars(A) if not n.isidentifier()], A.found)",
            "[] {'k': 1}\n",
        ),
        (
            "import functools\nclass D:\n"
            "    def __init__(self, f): functools.update_wrapper(self, f)\n"
            "    def __call__(self): return 4\n@D\ndef f(): 'doc'\n"
            "print(f(), f.__name__, f.__doc__)",
            "4 f doc\n",
        ),
        (
            "class C:\n    @property\n    def x(self): return self.__dict__.get('x')\n"
            "    @x.setter\n    def x(self, v): self.__dict__['x'] = v\n"
            "c = C()\nc.x = 4\nprint(c.x, c.__dict__)\ndel c.__dict__['x']\nprint(c.x)",
            "4 {'x': 4}\nNone\n",
        ),
        (
            "class V:\n    def __set_name__(self, owner, name): self.name = name\n"
            "    def __get__(self, obj, cls=None): return obj.__dict__[self.name]\n"
            "    def __set__(self, obj, value): obj.__dict__[self.name] = value\n"
            "class A:\n    x = V()\na = A()\na.x = 3\nprint(a.x)",
            "3\n",
        ),
        (
            "import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: int = 1\n"
            "print([hasattr(a, '__dataclass_fields__') for a in (A, A(1), 1)],"
            " list(A.__dataclass_fields__))",
            "[True, True, False] ['x']\n",
        ),
    ],
)
def test_as_in_python(session, code, shown):
    result = session.run(code)
    assert (result.output, result.message) == (shown, "")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "class A:\n    def __new__(cls): return print\nA()",
            "super().__new__",
        ),
        ("import json\njson.JSONEncoder.default(json, 1)", "JSONEncoder.default() needs a"),
        ("import dataclasses\nclass F(dataclasses.Field): pass", "cannot derive from `Field`"),
        ("object.__mro__", "isinstance()"),
        ("int.__subclasses__()", "classes of your own"),
        (
            "match int:\n    case object(real=r): pass",
            "capture the object with `as`",
        ),
    ],
)
def test_refused_with_advice(session, code, words):
    assert words in session.run(code).message
