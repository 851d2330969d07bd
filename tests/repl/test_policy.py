"""What the compiler pass allows and refuses, and what it says."""

import ast

import pytest

from rlm_dspy.repl.policy import Policy, Refused, compile_step

PROTECTED = frozenset({"SUBMIT"})


def refusal(code):
    with pytest.raises(Refused) as caught:
        compile_step(code, "<step>", PROTECTED)
    return caught.value


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x.__class__.__base__", "isinstance"),
        ("f.__globals__", "globals()"),
        ("g.gi_frame", "frames"),
        ("x.__sizeof__()", "`__sizeof__`"),
        ("f.__code__ = 1", "`__code__`"),
        ("del f.__doc__x__", "`__doc__x__`"),
        ("_getattr_ = 1", "reserved"),
        ("def f(_write_): pass", "reserved"),
        ("def f(a, _write_, /): pass", "reserved"),
        ("def f(*, _write_=1): pass", "reserved"),
        ("lambda *_args_: 1", "reserved"),
        ("import math as _x_", "reserved"),
        ("from math import pi as __pi__", "reserved"),
        ("try: pass\nexcept E as _e_: pass", "reserved"),
        ("match x:\n    case [*_r_]: pass", "reserved"),
        ("match x:\n    case {**_r_}: pass", "reserved"),
        ("match x:\n    case _r_: pass", "reserved"),
        ("def f():\n    global __builtins__", "reserved"),
        ("print(__builtins__)", "reserved"),
        ("[1 for _x_ in y]", "reserved"),
        ("(_x_ := 1)", "reserved"),
        ("class C:\n    def __del__(self): pass", "context manager"),
        ("class C:\n    def __reduce__(self): pass", "__copy__"),
        ("class C:\n    def __getattribute__(self, n): pass", "__getattr__"),
        ("class C:\n    __class__ = int", "type(obj)"),
        ("class C:\n    __slotnames__ = []", "reserved"),
        ("def __init__(self): pass", "reserved"),
        ("SUBMIT = 1", "belongs to the REPL"),
        ("from . import os", "relative"),
        ("try: pass\nexcept* ValueError: pass", "except ExceptionGroup"),
    ],
)
def test_refused_with_advice(code, words):
    error = refusal(code)
    assert words in str(error)


def test_the_refused_line_is_named():
    assert refusal("x = 1\n\ny = x.__globals__\n").line == 3


@pytest.mark.parametrize(
    "code",
    [
        "x.y += 1; d[k] += 1; x.y: int = 1; d[k]: int = 2",
        "_x = __ = _ = 1",
        "def f(SUBMIT): return SUBMIT",
        "class C:\n    SUBMIT = 1\n    def __eq__(self, o): return self._x == o._x\n"
        "    __ne__ = __eq__",
        "async def f():\n    async with a as b:\n        async for c in d: await c",
        "def f():\n    x = 1\n    def g():\n        nonlocal x\n        x += 1",
        "from __future__ import annotations\nfrom json import *",
        "match x:\n    case C(a, b=1): pass\n    case [1, *r]: pass\n"
        "    case {'k': v, **rest} as whole if v: pass\n    case 1 | None: pass",
        "with a as (b, [c, *d]), e: pass",
        "f(*a, **k)\nx[1:2, ...] = y[::2]",
        "type = list = str = 1",
    ],
)
def test_allowed(code):
    assert compile_step(code, "<step>", PROTECTED)


@pytest.mark.parametrize("code", ["x = (", "\x00", "\ud800", "def f(:\n pass"])
def test_what_is_not_python_is_a_syntax_error(code):
    with pytest.raises(SyntaxError):
        compile_step(code, "<step>", PROTECTED)


@pytest.mark.parametrize("code", ["-" * 20_000 + "1", "x" + "[0]" * 20_000, "1" + "+1" * 100_000])
def test_deep_nesting_is_refused(code):
    with pytest.raises((Refused, SyntaxError)):
        compile_step(code, "<step>", PROTECTED)


def visited(tree):
    policy = Policy(PROTECTED)
    policy.visit(tree)
    return [message for _, message in policy.refused]


@pytest.mark.parametrize("kind", ["TemplateStr", "Interpolation", "SyntaxOfTomorrow"])
def test_newer_and_unknown_syntax_is_refused(kind):
    node = type(kind, (ast.stmt,), {"_fields": ()})()
    assert visited(ast.Module([node], []))


def test_an_invalid_escape_is_no_error():
    assert compile_step(r"x = '\d'", "<step>", PROTECTED)
