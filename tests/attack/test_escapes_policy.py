"""The policy alone, in this process and without any layer of the operating system."""

import _strptime
import copy
import copyreg
import dataclasses
import functools
import re
from types import MappingProxyType

import pytest
from corpus import VISIBLE, judge, load, load_own, prepared

from rlm_dspy.repl import caches, copying, methods
from rlm_dspy.repl.namespace import Namespace
from rlm_dspy.repl.plain import to_plain
from rlm_dspy.repl.values import decode, encode

SEEN_HERE = VISIBLE | {"canary", "secret"}
ROWS = [row for row in load() if row["harm"] in SEEN_HERE]
# These are for the worker, which collects a step's garbage at the step's end.
OF_A_WORKER = {"own-finalizer-calls-a-tool", "own-io-close-as-a-finalizer"}
OWN = [row for row in load_own() if row["harm"] in SEEN_HERE and row["id"] not in OF_A_WORKER]
# Rows that print without end need a process that can be killed.
ENDLESS = {"e-bomb_output-02", "e-bomb_output-03"}
# What a generator or a `__del__` of an attack raises at its end has nowhere else to go.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def echo(name, args, kwargs):
    prompts = args[0] if args else kwargs["prompt"]
    if name == "llm_query":
        return "echo:" + str(prompts)[:24].replace("\n", " ")
    return ["echo:" + prompt[:24].replace("\n", " ") for prompt in prompts]


@pytest.fixture
def session(monkeypatch):
    # What a worker does to the library's own modules, since nothing else runs there.
    monkeypatch.setattr(functools, "update_wrapper", functools.update_wrapper)
    monkeypatch.setattr(dataclasses, "_EMPTY_METADATA", MappingProxyType({}))
    monkeypatch.setattr(copy, "_deepcopy_dispatch", dict(vars(copy)["_deepcopy_dispatch"]))
    monkeypatch.setattr(copyreg, "dispatch_table", copyreg.dispatch_table)
    monkeypatch.setattr(re, "_compile", vars(re)["_compile"])
    monkeypatch.setattr(_strptime, "_strptime", vars(_strptime)["_strptime"])
    for room in (methods, copying, caches):
        room.install()
    made = Namespace(echo, tools=["llm_query", "llm_query_batched"])
    made.bind("context", "some text\n" * 5)
    return made


def attempt(session, row, steps, **places):
    outputs, submitted = [], []
    for step in steps:
        result = session.run(step)
        outputs.append(result.output + "\n" + result.message)
        if result.kind == "submit":
            submitted.append(decode(encode(result.submitted, to_plain)))
    return judge(row, outputs, submitted=submitted, **places)


@pytest.mark.parametrize(
    "row", [pytest.param(r, id=r["id"]) for r in ROWS if r["id"] not in ENDLESS]
)
def test_known_escape(session, row, tmp_path):
    canary, secret = tmp_path / "canary", tmp_path / "secret"
    secret.write_text("S3CRET")
    steps = prepared(row, canary=str(canary), secret=str(secret))
    assert attempt(session, row, steps, canary=canary) == ""
    assert session.run("print(len(context), llm_query('p'))").output == "50 echo:p\n"


@pytest.mark.parametrize("row", [pytest.param(r, id=r["id"]) for r in OWN])
def test_own_escape(session, row, tmp_path):
    """Each thing that the policy allows beyond RestrictedPython, attacked."""
    canary, secret = tmp_path / "canary", tmp_path / "secret"
    secret.write_text("S3CRET")
    steps = prepared(row, canary=str(canary), secret=str(secret))
    assert attempt(session, row, steps, canary=canary) == ""
    assert session.run("import json\nprint(json.dumps([1]), len(context))").output == "[1] 50\n"


def test_the_judge_can_see_an_escape():
    row = {"harm": "marker"}
    assert judge(row, ["no\nESCAPED\n"])
    assert not judge(row, ["not ESCAPED\n"])
    assert judge({"harm": "forged"}, [""], submitted=[{"output": "FORGED"}])
    assert judge({"harm": "control"}, ["\x1b[2J"])
    assert judge({"harm": "secret"}, ["S3CRET"])
    assert judge({"harm": "output"}, ["x" * 100_001])


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    try: SUBMIT('first')\n    finally: return 1\nf()\nSUBMIT('second')",
        "import contextlib\nwith contextlib.suppress(BaseException): SUBMIT('first')\n"
        "SUBMIT('second')",
        "for i in range(2):\n    try: SUBMIT('first')\n    except BaseException: continue\n"
        "SUBMIT('second')",
        "while True:\n    try: SUBMIT('first')\n    finally: break\nSUBMIT('second')",
        "class W:\n    def __enter__(self): pass\n    def __exit__(self, *a): return True\n"
        "with W(): SUBMIT('first')\nSUBMIT('second')",
        "import asyncio\nasync def s(x): SUBMIT(x)\nasync def main():\n"
        "    await asyncio.gather(s('first'), s('second'), return_exceptions=True)\n"
        "    llm_query('x')\nasyncio.run(main())",
        "d = {'v': 1}\ntry: SUBMIT('first')\nexcept BaseException: d['v'] = 2; SUBMIT(d)",
    ],
)
def test_the_first_submit_wins_and_ends_the_step(session, code):
    result = session.run(code)
    assert (result.kind, result.submitted) == ("submit", {"output": "first"})


def test_the_value_of_a_submit_is_not_changed_after_it(session):
    code = "d = {'v': 1}\ntry: SUBMIT(d)\nfinally: d['v'] = 2"
    assert session.run(code).submitted == {"output": {"v": 1}}


@pytest.mark.parametrize("name", ["print", "SUBMIT", "show_vars", "llm_query"])
@pytest.mark.parametrize(
    "code",
    [
        "{0} = 1",
        "def {0}(): pass",
        "class {0}: pass",
        "import json as {0}",
        "for {0} in [1]: pass",
        "del {0}",
        "with open('x') as {0}: pass",
        "({0} := 1)",
        "def f():\n    global {0}\n    {0} = 1\nf()",
        "globals()['{0}'] = 1",
        "match 1:\n    case {0}: pass",
        "[{0}, x] = 1, 2",
        "{0} += 1",
        "{0}: int = 1",
    ],
)
def test_protected_names_are_refused_by_name(session, name, code):
    result = session.run(code.format(name))
    assert result.kind == "policy"
    assert f"`{name}`" in result.message
    assert session.run("print(llm_query('a'))").output == "echo:a\n"
