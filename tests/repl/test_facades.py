"""The modules of model code: what they hold, and that they take host texts."""

import sys
import types

import pytest

from rlm_dspy import CodeFailed, RestrictedInterpreter
from rlm_dspy.repl import classes, names, rules
from rlm_dspy.repl.facades import FACADES
from rlm_dspy.repl.modules import Facade
from rlm_dspy.repl.namespace import Namespace


class Text:
    """A text of the host, as `Context` and `Span` are."""

    def __init__(self, text):
        self._text = text
        self.size = len(text)

    def __rlm_text__(self):
        return self._text

    def __str__(self):
        return self._text

    def __len__(self):
        return len(self._text)

    def __getitem__(self, key):
        return self._text[key]

    def upper(self):
        return self._text.upper()


Text.__module__ = "rlm_dspy.some_room"


@pytest.fixture
def session():
    made = Namespace(lambda *call: None)
    made.bind("context", Text('{"a": [1, 2]}\nx,y\n1,2\n'))
    return made


@pytest.mark.parametrize("module", FACADES)
def test_no_attribute_leads_on(module):
    """No real module, no class that makes classes, no container that every session would share."""
    for name, value in vars(FACADES[module]).items():
        assert not isinstance(value, (types.ModuleType, dict, list, set, bytearray)), name
        if isinstance(value, type):
            assert not issubclass(value, type), name
            known = rules.is_open(value) or value in rules.OPEN_CLASSES
            assert known or classes.stand_in(value) is not value, name
            public = [v for k, v in vars(value).items() if not k.startswith("_")]
            assert not any(isinstance(v, (types.ModuleType, types.FrameType)) for v in public), name


@pytest.mark.parametrize("facade", [pytest.param(f, id=n) for n, f in FACADES.items()])
def test_a_facade_has_no_name_of_its_own(facade):
    """With `__name__`, `from x import y` would fall back to `sys.modules`."""
    assert isinstance(facade, Facade)
    assert not hasattr(facade, "__name__")


def test_no_type_has_a_rule_against_a_name_that_is_read_natively():
    for denied in rules.DENIED.values():
        assert not denied & names.NATIVE
    assert not names.NATIVE & (names.FRAME_NAMES | names.FORMATTERS)


# Written in Python, and read without a guard: each was read and found to act on its `self` through
# that object's own methods alone, so that a strange one gives code nothing that it could not do.
READ_AND_HARMLESS = {
    "add", "append", "as_integer_ratio", "conjugate", "count", "decode", "discard", "encode",
    "extend", "get", "index", "insert", "is_integer", "isdisjoint", "items", "join", "keys", "pop",
    "popitem", "remove", "reverse", "setdefault", "sort", "update", "values",
}  # fmt: skip


def test_methods_in_python_that_are_read_natively_are_known():
    found = set()
    for facade in FACADES.values():
        for kind in filter(lambda value: isinstance(value, type), vars(facade).values()):
            for base in kind.__mro__:
                methods = {n for n, v in vars(base).items() if type(v) is types.FunctionType}
                found |= methods & names.NATIVE
    assert found <= READ_AND_HARMLESS


def test_no_class_shares_a_container_that_code_could_change():
    shared = []
    for module, facade in FACADES.items():
        for name, kind in vars(facade).items():
            for attribute in dir(kind) if isinstance(kind, type) else ():
                value = getattr(kind, attribute, None)
                if attribute[0] != "_" and isinstance(value, dict | list | set | bytearray):
                    shared.append((module, name, attribute, attribute in rules.rule_of(kind)))
    assert [entry for entry in shared if not entry[-1]] == []


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("import re\nre.findall(r'\\d', context)", "['1', '2', '1', '2']\n"),
        ("import re\nre.compile('x,(.)').search(context).group(1)", "'y'\n"),
        ("import re\nre.compile('[0-9]').sub('#', context)[:6]", "'{\"a\": '\n"),
        ("import re\nre.sub('x', 'z', string=context)[-9:]", "'\\nz,y\\n1,2\\n'\n"),
        ("import re\nlen(re.split('\\n', context)), re.escape(context)[:3]", "(4, '\\\\{\"')\n"),
        ("import json\njson.dumps({'t': context})[:9]", '\'{"t": "{\\\\\'\n'),
        ("import json\njson.JSONDecoder().raw_decode(context)", "({'a': [1, 2]}, 13)\n"),
        ("import io\nio.StringIO(context).readline()", "'{\"a\": [1, 2]}\\n'\n"),
        ("import csv\nlist(csv.reader(context))[1:]", "[['x', 'y'], ['1', '2']]\n"),
        ("import csv\nlist(csv.DictReader(context))[1]['{\"a\": [1']", "'1'\n"),
        ("print(context)", '{"a": [1, 2]}\nx,y\n1,2\n\n'),
        ("context.size, context.upper()[:3], len(context)", "(22, '{\"A', 22)\n"),
        ("type(context).__name__, isinstance(context, type(context))", "('Text', True)\n"),
    ],
)
def test_host_texts_are_taken(session, code, shown):
    result = session.run(code)
    assert (result.message, result.output) == ("", shown)


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        (
            "import json\ntry: json.loads('{')\nexcept json.decoder.JSONDecodeError: print('bad')\n"
            "from json.decoder import JSONDecodeError",
            "bad\n",
        ),
        ("import sys\nsys.stdout.writelines(['a', 'b'])\nprint(sys.stdout)", "ab<stdout>\n"),
        (
            "import sys\nprint('a', 'b', sep='', file=sys.stderr)\nprint(sys.stderr)",
            "ab\n<stderr>\n",
        ),
        (
            "import io, sys, contextlib as c\nout, err = io.StringIO(), io.StringIO()\n"
            "with c.redirect_stdout(out), c.redirect_stderr(err):\n"
            "    print('o')\n    print('e', file=sys.stderr)\n"
            "print([out.getvalue(), err.getvalue()])",
            "['o\\n', 'e\\n']\n",
        ),
        (
            "import datetime\nd = datetime.date(2024, 1, 2)\n"
            "print('{.year}-{.month} {a.day} {[0]}'.format(d, d, [7], a=d))",
            "2024-1 2 7\n",
        ),
        ("print('{:>{}}{.real}'.format(1, 3, 4))", "  14\n"),
    ],
)
def test_as_in_python(session, code, shown):
    result = session.run(code)
    assert (result.message, result.output) == ("", shown)


@pytest.mark.parametrize("template", ["{0.year}{.year}", "{.year}{0.year}", "{0}{.year}"])
def test_templates_that_number_some_fields(session, template):
    code = f"import datetime\n'{template}'.format(datetime.date(2024, 1, 2))"
    assert "cannot switch" in session.run(code).message


def test_recursion_may_go_as_deep_as_the_stack_does():
    with RestrictedInterpreter() as repl:
        code = "import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return n and 1 + f(n - 1)\n"
        assert repl.execute(f"{code}print(f(5_000))") == "5000\n"
        with pytest.raises(CodeFailed, match="RecursionError"):
            repl.execute("f(10**6)")


@pytest.mark.parametrize(
    "code",
    [
        "context._text",
        "context.size = 5",
        "context.__dict__",
        "vars(context)",
        "context.__init__('x')",
        "type(context)('x')",
        "class C(type(context)): pass",
        "setattr(context, 'size', 5)",
        "'{0._text}'.format(context)",
        "context.__rlm_text__()",
    ],
)
def test_host_texts_are_read_only_and_closed(session, code):
    assert session.run(code).kind == "policy"


def test_a_long_host_text_is_not_built_to_be_shown():
    class Huge(Text):
        def __str__(self):
            raise AssertionError("the whole text was built")

        __repr__ = __str__

        def __len__(self):
            return 10**9

        def __getitem__(self, key):
            return "x" * 100

    Huge.__module__ = "rlm_dspy.some_room"
    session = Namespace(lambda *call: None, max_output_chars=100)
    session.bind("context", Huge(""))
    assert "cut" in session.run("print(context)").output
    assert "cut" in session.run("context").output


def test_every_facade_can_be_imported_by_name():
    session = Namespace(lambda *call: None)
    for name in FACADES:
        if name != "__future__":
            assert session.run(f"import {name} as m\nm.__name__").output == f"'{name}'\n"
    assert session.run("import os.path").kind == "policy"


def test_no_module_is_loaded_after_the_facades():
    """`datetime.strptime`, encodings and the rest are loaded beforehand."""

    code = """
import datetime, time, random, statistics, textwrap, uuid, hashlib, decimal, calendar, difflib
datetime.datetime.strptime('2020-01-02', '%Y-%m-%d'), time.strptime('2020', '%Y')
statistics.quantiles([1, 2, 3]), random.sample(range(9), 2), uuid.uuid4()
hashlib.sha3_256(b'').hexdigest()
'ä'.encode('latin-1'), 'ä'.encode('cp1252'), 'ä'.encode('utf-16'), calendar.month(2024, 1)
list(difflib.unified_diff(['a'], ['b'])), decimal.Decimal(2).sqrt(), textwrap.wrap('a b')
"""
    before = set(sys.modules)
    assert Namespace(lambda *call: None).run(code).kind == "ok"
    assert set(sys.modules) == before
