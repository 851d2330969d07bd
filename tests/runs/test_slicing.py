"""A run without the steps that do not matter submits the same."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_dspy import ConfigurationError
from rlm_dspy.runs.slicing import Ran, needed

names = st.sampled_from("abcd")
STATEMENTS = [
    "{x} = [1, 2]",
    "{x} = {y}",
    "{x} = {y} + {z}",
    "{x} = [n + 1 for n in {y}]",
    "{x} = {y}[:]",
    "{x} = {y}, {z} = {z}, {y}",
    "{x} += {y}[:2]",
    "{x}.append(7)",
    "{x}[0:1] = {y}[:1]",
    "del {x}[1:]",
    "print({x})",
    "[print(n) for n in {x}]",
    "for {x}1 in {y}[:3]:\n    {z}.append({x}1)",
    "if len({x}) > 2:\n    {y} = {z}",
    "def f{x}(n):\n    n.append(len({y}))\n    return n",
    "{x} = f{y}({z}) if 'f{y}' in globals() else {z}",
    "(f{x} if 'f{x}' in globals() else print)({y})",
    "try:\n    {x} = {y}[9]\nexcept IndexError:\n    {z} = {y}[:4]",
    "import math as m{x}",
    "{x} = sorted({y}, key=lambda n: -n)",
    "with_{x} = lambda: {x}\n{y} = with_{x}()",
    "{x}.sort()",
    "{x} = [*{y}[:3], *{z}[:3]]",
]
statement = st.builds(
    lambda form, x, y, z: form.format(x=x, y=y, z=z),
    st.sampled_from(STATEMENTS),
    names,
    names,
    names,
)
step = st.lists(statement, min_size=1, max_size=3).map("\n".join)


def submitted(codes):
    """What steps submit, as plain Python runs them."""
    found = []
    space = {"SUBMIT": lambda **given: found.append(repr(given)), "print": lambda *_: None}
    for code in codes:
        exec(code, space)
    return found


@settings(max_examples=100)
@given(st.lists(step, max_size=6), names)
def test_what_is_left_out_makes_no_difference(steps, name):
    head = "a, b, c, d = [1], [2, 3], [4, 5, 6], []"
    last = f"SUBMIT(answer={name})"
    codes = [head, *steps]
    ran = []
    try:
        whole = submitted([*codes, last])
    except (NameError, TypeError, AttributeError, ValueError, IndexError):
        return  # such a step would have failed
    ran = [Ran(number, code) for number, code in enumerate(codes, 1)]
    kept = needed(ran, Ran(len(codes) + 1, last), ())
    assert submitted(kept) == whole


def test_what_is_no_python_ran_never():
    steps = [Ran(1, "x = (", "[Error] SyntaxError", ok=False), Ran(2, "x = 1")]
    assert needed(steps, Ran(3, "SUBMIT(answer=x)"), ()) == ["x = 1", "SUBMIT(answer=x)"]
    with pytest.raises(ConfigurationError, match="not Python"):
        needed([], Ran(1, "SUBMIT("), ())


def test_what_the_repl_undid_left_nothing():
    undone = Ran(1, "x = 1\nwhile True: x += 1", "[Error] timeout", ok=False, undone=True)
    kept = needed([undone, Ran(2, "x = 2")], Ran(3, "SUBMIT(answer=x)"), ())
    assert kept == ["x = 2", "SUBMIT(answer=x)"]


def test_a_value_that_is_changed_under_another_name_is_changed():
    steps = [Ran(1, "a = [1]"), Ran(2, "b = a"), Ran(3, "a += [2]"), Ran(4, "c = 5")]
    kept = needed(steps, Ran(5, "SUBMIT(answer=b)"), ["context"])
    assert kept == ["a = [1]", "b = a", "a += [2]", "SUBMIT(answer=b)"]
