"""Which factory a run takes, and what an interpreter is told."""

import datetime
import functools
import inspect
import json
from typing import Any

import dspy
import pydantic
import pytest
from dspy.primitives.local_interpreter import LocalInterpreter
from hypothesis import given
from hypothesis import strategies as st

from rlm_dspy import RLM, ConfigurationError, Context, RestrictedInterpreter, RLMOptions
from rlm_dspy.interpreters import (
    as_json,
    chosen_factory,
    crossing,
    instructions_of,
    is_ours,
    output_fields,
)
from rlm_dspy.testing import ScriptedLM, code


class Ours(RestrictedInterpreter):
    pass


@pytest.mark.parametrize(
    ("factory", "ours"),
    [
        (None, True),
        (RestrictedInterpreter, True),
        (Ours, True),
        (functools.partial(Ours, step_seconds=1), True),
        (LocalInterpreter, False),
        (functools.partial(LocalInterpreter, execution_timeout=1), False),
        (lambda: RestrictedInterpreter(), False),
    ],
)
def test_our_own_repl_is_known_by_its_class(factory, ours):
    assert is_ours(factory) is ours
    assert not (ours and instructions_of(factory))


def test_the_nearest_factory_is_taken():
    call, own, configured = (functools.partial(LocalInterpreter) for _ in range(3))
    with dspy.context(interpreter_factory=configured):
        assert chosen_factory(call, own) is call
        assert chosen_factory(None, own) is own
        assert chosen_factory(None, None) is configured
    assert chosen_factory(None, None) is None


@pytest.mark.parametrize(
    "factory",
    [LocalInterpreter, Ours, functools.partial(RestrictedInterpreter, isolation="auto")],
)
def test_required_isolation_is_never_given_up(factory):
    options = RLMOptions(isolation="require")
    with pytest.raises(ConfigurationError, match="only our own REPL says what isolates it"):
        RLM(interpreter_factory=factory, options=options)(context="x", query="q")
    with (
        dspy.context(interpreter_factory=factory),
        pytest.raises(ConfigurationError, match="isolation"),
    ):
        RLM(options=options)(context="x", query="q")


def test_the_repls_own_class_is_made_with_the_options():
    lm = ScriptedLM([code("while True: pass"), code("SUBMIT(answer='a')")])
    options = RLMOptions(step_seconds=0.3)
    with dspy.context(lm=lm, interpreter_factory=RestrictedInterpreter):
        result = RLM(options=options)(context="x", query="q")
    assert "longer than 0.3 seconds" in result.trajectory[0]["output"]


def test_a_partial_of_the_repl_has_its_functions_and_contexts():
    small = functools.partial(RestrictedInterpreter, max_output_chars=200)
    step = "print(type(context).__name__, callable(ask), 'x' * 1000)"
    with dspy.context(lm=ScriptedLM([code(step), code("SUBMIT(answer='a')")])):
        result = RLM(interpreter_factory=small)(context="word " * 1000, query="q")
    assert result.trajectory[0]["output"].startswith("Context True")
    assert len(result.trajectory[0]["output"]) < 500


def test_a_default_that_is_a_type_crosses_by_name():
    def tool(a: int, b: Any = str, *, c: Any = list, d: int = 5) -> None: ...

    parameters = crossing(tool).parameters.values()
    empty = inspect.Parameter.empty
    assert [parameter.default for parameter in parameters] == [empty, "str", "list", 5]


def test_simple_types_of_outputs_are_named():
    outer = dspy.Signature("a -> b: int, c: list[str], d, e: Literal['x'], f: dict")
    assert output_fields(outer) == [
        {"name": "b", "type": "int"},
        {"name": "c"},
        {"name": "d", "type": "str"},
        {"name": "e"},
        {"name": "f", "type": "dict"},
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_json_stays_as_it_is(value):
    assert as_json(value) == value


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Context.from_text("text"), "text"),
        ({"a": [Context.from_text("text")[0:2]]}, {"a": ["te"]}),
        ((1, {2}), [1, [2]]),
        (pydantic.create_model("M", n=(int, 3))(), {"n": 3}),
        (datetime.date(2024, 5, 1), "2024-05-01"),
    ],
)
def test_other_values_become_json(value, plain):
    made = as_json(value)
    assert made == plain
    assert json.loads(json.dumps(made)) == plain


def test_what_has_no_such_form_stays():
    thing = object()
    assert as_json([thing]) == [thing]
