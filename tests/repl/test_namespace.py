"""One session in this process: state, output, errors, SUBMIT, tools."""

import decimal
import subprocess
import sys

import pytest
from benign_rows import CORPUS, ROWS, echo

from rlm_dspy.repl.namespace import Namespace, ToolFailed

PROGRAMS = sorted((CORPUS / "programs").glob("*.py"))


def tool(name, args, kwargs):
    if name == "broken":
        raise ToolFailed("the base is down", "ConnectionError")
    if name == "llm_query_batched":
        return [tool("llm_query", [prompt], {}) for prompt in args[0]]
    return echo(args[0])


@pytest.fixture
def session():
    decimal.setcontext(decimal.Context())  # a session of its own process would have a new one
    return Namespace(tool, tools=["llm_query", "llm_query_batched", "broken"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # as in a worker
@pytest.mark.parametrize("row", [pytest.param(row, id=row["id"]) for row in ROWS])
def test_benign_row(session, row):
    session.bind("context", row["context"])
    results = [session.run(step) for step in row["steps"]]
    assert "".join(result.output for result in results) == row["expect_stdout"]
    failed = {i: r.error_type for i, r in enumerate(results) if r.kind not in ("ok", "submit")}
    expected = {row["error_step"]: row["expect_error"]} if "expect_error" in row else {}
    assert failed == expected
    submitted = [r.submitted["output"] for r in results if r.kind == "submit"]
    assert submitted == ([row["expect_submit"]] if "expect_submit" in row else [])


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in PROGRAMS])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_program_prints_what_plain_python_prints(path):
    plain = subprocess.run(
        [sys.executable, "-W", "ignore", path], capture_output=True, text=True, check=True
    )
    result = Namespace(tool, max_output_chars=100_000).run(path.read_text())
    assert result.message == ""
    assert result.output.splitlines() == plain.stdout.splitlines()


# Output


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("1 + 1", "2\n"),
        ("'a\\nb'", "'a\\nb'\n"),
        ("None", ""),
        ("x = 5", ""),
        ("print('p'); 3", "p\n3\n"),
        ("def f():\n    print('in f')\n    return 1\nf()", "in f\n"),
        ("true, false, null", "(True, False, None)\n"),
        ("print(1, 2, sep='-', end='!')", "1-2!"),
        ("import sys\nprint('e', file=sys.stderr)", "e\n"),
        ("import pprint\npprint.pprint({'a': 1})", "{'a': 1}\n"),
        ("print('\\x1b[31m', '\\u202e', '\\ud800', '\\r.')", "\\x1b[31m \\u202e \\ud800 \\r.\n"),
        ("print('a\\tb\\r\\nc')", "a\tb\r\nc\n"),
    ],
)
def test_output(session, code, shown):
    result = session.run(code)
    assert (result.kind, result.output) == ("ok", shown)


@pytest.mark.parametrize(
    "code", ["print('a' * 10**6 + 'end')", "for i in range(10**5): print(i, 'end')"]
)
def test_long_output_is_cut_in_the_middle(code):
    output = Namespace(tool, max_output_chars=500).run(code).output
    assert len(output) <= 500
    assert "characters cut" in output
    assert output.rstrip().endswith("end")


def test_escapes_do_not_exceed_the_limit():
    output = Namespace(tool, max_output_chars=300).run(r"print('\x00' * 200)").output
    assert len(output) <= 300


def test_a_short_limit_is_kept():
    assert len(Namespace(tool, max_output_chars=10).run("print('a' * 100)").output) <= 10


# Errors

RAISING_STR = "class E(Exception):\n    def __str__(self): raise SystemExit\nraise E()"


@pytest.mark.parametrize(
    ("code", "kind", "error_type", "line", "words"),
    [
        ("d = {}\n\nd['x']", "error", "KeyError", 3, ["KeyError: 'x'", "line 3: d['x']"]),
        ("def f(a):\n    return 1 / a\nf(0)", "error", "ZeroDivisionError", 3, ["line 2, in f"]),
        ("s = 'a\x0cb'\nt = '\u2028'\n1 / 0", "error", "ZeroDivisionError", 3, ["line 3: 1 / 0"]),
        ("x = (", "syntax", "SyntaxError", 1, ["line 1: x = ("]),
        ("import os", "policy", "PolicyViolation", 1, ["import os is not", "modules are"]),
        ("import numpy", "error", "ModuleNotFoundError", 1, ["named 'numpy'", "statistics"]),
        ("open('f')", "policy", "PolicyViolation", 1, ["already in the variables"]),
        ("x = 1\nx.__globals__", "policy", "PolicyViolation", 2, ["line 2: x.__globals__"]),
        ("import math\nmath.pi = 3", "policy", "PolicyViolation", 2, ["read-only"]),
        ("raise SystemExit", "error", "SystemExit", 1, []),
        ("raise KeyboardInterrupt", "error", "KeyboardInterrupt", 1, []),
        ("def f(): f()\nf()", "error", "RecursionError", 2, ["line 1, in f"]),
        ("raise MemoryError", "error", "MemoryError", 1, []),
        (RAISING_STR, "error", "E", 3, []),
        ("class B(BaseException): pass\nraise B('boom')", "error", "B", 2, ["B: boom"]),
        ("e = KeyError('v')\ne.add_note('a note')\nraise e", "error", "KeyError", 3, ["a note"]),
    ],
)
def test_error(session, code, kind, error_type, line, words):
    result = session.run(code)
    assert (result.kind, result.error_type, result.line) == (kind, error_type, line)
    assert all(word in result.message for word in words)


def test_what_was_printed_before_an_error_is_kept(session):
    result = session.run("print('before')\n1/0\nprint('after')")
    assert (result.output, result.line) == ("before\n", 2)


def test_an_error_in_an_earlier_steps_function_shows_both_lines(session):
    session.run("def f(x):\n    return x['k']")
    message = session.run("y = 1\nf({})").message
    assert "line 2: f({})" in message
    assert "step 1, line 2, in f: return x['k']" in message


# Tools


def test_tools_are_functions(session):
    assert session.run("llm_query('hi'), llm_query_batched(['a', 'b'])").output == (
        "('echo:hi', ['echo:a', 'echo:b'])\n"
    )


def test_a_tools_failure_can_be_caught(session):
    code = "try: broken()\nexcept RuntimeError as e: print('caught', e)"
    assert session.run(code).output == "caught the base is down\n"
    result = session.run("broken()")
    assert (result.kind, result.line) == ("error", 1)
    assert "the base is down" in result.message


def test_arguments_reach_the_host_as_given():
    calls = []
    session = Namespace(lambda *call: calls.append(call), tools=["ask"])
    session.run("ask('q', [1], returns=int, **{'k': None})")
    assert calls == [("ask", ["q", [1]], {"returns": int, "k": None})]


def test_configure_replaces_tools_and_fields(session):
    session.configure(["other"], [{"name": "a"}, {"name": "b"}])
    assert session.run("other('x')").output == "'echo:x'\n"
    assert session.run("llm_query('x')").error_type == "NameError"
    assert session.run("SUBMIT(1, b=2)").submitted == {"a": 1, "b": 2}


@pytest.mark.parametrize("name", ["a b", "class", "__x__", "print", "SUBMIT"])
def test_unusable_names_are_refused(session, name):
    with pytest.raises(ValueError, match="cannot be a name"):
        session.configure([name])


# SUBMIT


@pytest.mark.parametrize(
    ("fields", "call", "value"),
    [
        (None, "SUBMIT(5)", {"output": 5}),
        (None, "SUBMIT(output=5)", {"output": 5}),
        (["answer"], "SUBMIT('x')", {"answer": "x"}),
        (["a", "n"], "SUBMIT('x', 2)", {"a": "x", "n": 2}),
        (["a", "n"], "SUBMIT(n=2, a='x')", {"a": "x", "n": 2}),
        (["a", "n"], "SUBMIT('x', n=2)", {"a": "x", "n": 2}),
    ],
)
def test_submit(fields, call, value):
    wanted = None if fields is None else [{"name": name} for name in fields]
    result = Namespace(tool, output_fields=wanted).run(f"print('p')\n{call}\nprint('never')")
    assert (result.kind, result.submitted, result.output) == ("submit", value, "p\n")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("SUBMIT()", "missing 2 required positional arguments: 'a', 'n'"),
        ("SUBMIT(1)", "missing 1 required positional argument: 'n'"),
        ("SUBMIT(1, 2, 3)", "takes 2 positional arguments but 3 were given"),
        ("SUBMIT(1, a=2, n=3)", "multiple values for argument 'a'"),
        ("SUBMIT(a=1, m=2)", "unexpected keyword argument 'm'"),
    ],
)
def test_a_wrong_submit_says_how(call, words):
    session = Namespace(tool, output_fields=[{"name": "a"}, {"name": "n"}])
    result = session.run(call)
    assert (result.kind, result.error_type) == ("error", "TypeError")
    assert words in result.message
    assert "SUBMIT(a=..., n=...)" in result.message


# State


def test_bound_variables_come_back(session):
    session.bind("context", "the text")
    first = session.run("context = context.upper()\nprint(context)")
    assert first.output == "THE TEXT\n"
    assert "`context`" in first.message
    assert session.run("context").output == "'the text'\n"
    session.run("del context")
    assert session.run("context").output == "'the text'\n"
    assert session.run("x = 1").message == ""


def test_a_variable_cannot_take_a_tools_name(session):
    with pytest.raises(ValueError, match="function of the REPL"):
        session.bind("llm_query", 1)


def test_sessions_do_not_share_variables():
    one, two = Namespace(tool), Namespace(tool)
    one.run("x = 1")
    assert two.run("x").error_type == "NameError"


def test_show_vars(session):
    session.bind("context", "abc")
    session.run("import json\nn = 5\nrows = [1, 2]\ndef f(): pass")
    shown = session.run("show_vars()").output
    assert shown == "context: str, 3 characters\nn: int = 5\nrows: list, 2 items\nf: function\n"


def test_globals_writes_are_checked(session):
    assert session.run("globals()['y'] = 3\ny").output == "3\n"
    assert session.run("globals()['_x_'] = 3").kind == "policy"
    assert session.run("sorted(globals())").output.startswith("['SUBMIT', '__name__'")
