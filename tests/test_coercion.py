"""A reply as a typed value: what a reader accepts is accepted, what is ambiguous is not."""

import enum
import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from rlm_dspy.coercion import coerce_text, submitted, type_name, validated
from rlm_dspy.missing import Missing


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Person(BaseModel):
    name: str
    age: int


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("  tulip ", str, "tulip"),
        ("```\ntulip\n```", str, "tulip"),
        ("tulip", Any, "tulip"),
        ("42", int, 42),
        ("There are 1,234 of them.", int, 1234),
        ("-5", int, -5),
        ("1.0", int, 1),
        ("1e3", int, 1000),
        ("1_000", int, 1000),
        ("3 (that is, 3)", int, 3),
        ("$1,200.50", float, 1200.5),
        ("1e-3", float, 0.001),
        ("5", float, 5.0),
        ("Yes.", bool, True),
        ("**No**", bool, False),
        ("TRUE", bool, True),
        ("No, it does not.", bool, False),
        ("Yes, in 1 place", bool, True),
        ("High", Literal["low", "high"], "high"),
        ("The answer is: high.", Literal["low", "high"], "high"),
        ("high, not low", Literal["low", "high"], "high"),
        ("very high", Literal["high", "very high"], "very high"),
        ("2", Literal[1, 2], 2),
        ("'low'", Level, Level.LOW),
        ("none", int | None, None),
        ("Not found.", str | None, None),
        ("12", int | None, 12),
        ("twelve", int | str, "twelve"),
        ('["a", "b"]', list[str], ["a", "b"]),
        ('Here: ["a", "b"].', list[str], ["a", "b"]),
        ("- a\n- b", list[str], ["a", "b"]),
        ("1. a\n2) b", list[str], ["a", "b"]),
        ("a, b", list[str], ["a", "b"]),
        ("[1, 2]", list[int], [1, 2]),
        ("- 1,200\n- 5", list[int], [1200, 5]),
        ("None", list[str], []),
        ('```json\n{"a": 1}\n```', dict[str, int], {"a": 1}),
        ('{"name": "Ann", "age": "3"}', Person, Person(name="Ann", age=3)),
        ('[{"name": "Ann", "age": 3}]', list[Person], [Person(name="Ann", age=3)]),
    ],
)
def test_what_a_reader_accepts(text, kind, value):
    found = coerce_text(text, kind)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("3 or 4", int),
        ("3.5", int),
        ("2024-03-05", int),
        ("many", int),
        ("", float),
        ("nan", int),
        ("maybe", bool),
        ("mid", Literal["low", "high"]),
        ("highest", Literal["low", "high"]),
        ("not high but low", Literal["low", "high"]),
        ("many", int | None),
        ('{"name": "Ann"}', Person),
        ("[1, x]", list[int]),
        ("- a\n- b", list[int]),
        ("free text", dict[str, int]),
    ],
)
def test_what_is_ambiguous_is_refused(text, kind):
    with pytest.raises(ValueError, match=r"\S"):
        coerce_text(text, kind)


@pytest.mark.parametrize(
    ("value", "kind", "typed"),
    [
        ("x", str, "x"),
        (3, str, "3"),
        (["a"], str, '["a"]'),
        ({"a": 1}, str, '{"a": 1}'),
        (3, int, 3),
        ("3", int, 3),
        (3.0, int, 3),
        (True, bool, True),
        (["a"], list[str], ["a"]),
        ("high", Literal["low", "high"], "high"),
        ("high", Level, Level.HIGH),
        ({"name": "Ann", "age": 3}, Person, Person(name="Ann", age=3)),
        (None, int | None, None),
        (None, Any, None),
        (Missing("why"), int | None, None),
        (Missing("why"), Any, None),
        (["a", Missing("why")], list[str | None], ["a", None]),
        ({"a": [(1, Missing("why"))]}, Any, {"a": [(1, None)]}),
    ],
)
def test_submitted_values(value, kind, typed):
    assert submitted(value, kind) == typed


@pytest.mark.parametrize(
    ("value", "kind", "told"),
    [
        (None, str, "None"),
        (None, list[str], "None"),
        (Missing("why"), str, r"Missing\('why'\)"),
        ([Missing("why")], list[str], "None"),
        ("many", int, "many"),
        (3.5, int, "3.5"),
        ("medium", Literal["low", "high"], "medium"),
        ("medium", Level, "medium"),
        ([1, "x"], list[int], "x"),
        ({"name": "Ann"}, Person, "Ann"),
        ("x" * 500, int, r"\.\.\."),
    ],
)
def test_submitted_values_that_do_not_fit(value, kind, told):
    with pytest.raises(ValueError, match=told) as caught:
        submitted(value, kind)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (str, "str"),
        (list[str], "list[str]"),
        (dict[str, list[int]], "dict[str, list[int]]"),
        (Literal["a", "b"], "Literal['a', 'b']"),
        (int | None, "int | None"),
        (Person, "Person"),
        (None, "None"),
        (Any, "Any"),
    ],
)
def test_type_names(kind, name):
    assert type_name(kind) == name


KINDS = [str, int, float, bool, Level, int | None, list[int], list[str], dict[str, int], Person]


@given(st.text(max_size=60), st.sampled_from([*KINDS, Literal["low", "high"]]))
def test_any_text_gives_a_value_or_a_value_error(text, kind):
    try:
        value = coerce_text(text, kind)
    except ValueError:
        return
    assert validated(value, kind) == value or value != value


@given(st.integers(), st.text(alphabet="abc .", max_size=10))
def test_the_one_number_of_a_text_is_found(number, around):
    assert coerce_text(f"{around} {number} {around}", int) == number


@given(st.lists(st.text(alphabet="abcde ", min_size=1).map(str.strip).filter(bool)))
def test_json_lists_come_back(items):
    assert coerce_text(json.dumps(items), list[str]) == items
