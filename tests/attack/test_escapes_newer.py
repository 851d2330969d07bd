"""What Python has gained since 3.11, attacked: the policy alone, in this process."""

import sys

import pytest
from corpus import judge, load_newer

from rlm_dspy.repl.namespace import Namespace

ROWS = load_newer()
# What a generator or a `__del__` of an attack raises at its end has nowhere else to go.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def session():
    made = Namespace(lambda *call: None)
    made.bind("context", "some text\n" * 5)
    return made


@pytest.mark.parametrize("row", [pytest.param(row, id=row["id"]) for row in ROWS])
def test_newer_escape(session, row):
    """An older Python, which lacks the syntax, says that it is none."""
    results = [session.run(step) for step in row["steps"]]
    if sys.version_info < row.get("python", ()):
        assert results[0].kind == "syntax"
    assert judge(row, [result.output + "\n" + result.message for result in results]) == ""
    assert session.run("import json\nprint(json.dumps([1]), len(context))").output == "[1] 50\n"


@pytest.mark.parametrize("code", ["type {0} = int", "def f():\n    global {0}\n    type {0} = 1"])
@pytest.mark.parametrize("name", ["print", "SUBMIT", "show_vars"])
def test_an_alias_binds_no_protected_name(session, name, code):
    result = session.run(code.format(name))
    if sys.version_info < (3, 12):
        assert result.kind == "syntax"
        return
    assert result.kind == "policy"
    assert f"`{name}`" in result.message
