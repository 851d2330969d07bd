"""A reply as a typed value: what a reader accepts is accepted, what is ambiguous is not."""

import datetime
import enum
import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from rlm_dspy.coercion import coerce_text, coerce_whole, exact, submitted, type_name, validated
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
        ("42.", int, 42),
        ("**42**", int, 42),
        ("The answer is __42__.", int, 42),
        ("The answer is 42.", int, 42),
        ("In 1,234,567 cases.", int, 1234567),
        ("12 %", int, 12),
        ("10kg", int, 10),
        ("a 12-year-old", int, 12),
        ("COVID-19 took 5.", int, 5),
        ("−5", int, -5),
        ("-$1,200", int, -1200),
        (".5", float, 0.5),
        ("yes - he left", bool, True),
        ("y", bool, True),
        ("**1**.", bool, True),
        ("The answer is no.", bool, False),
        ("No, that is not true.", bool, False),
        ("I don't think so, no.", bool, False),
        ("Answer: spam", Literal["spam", "ham"], "spam"),
        ("a", Literal["a", "A"], "a"),
        ("**A**.", Literal["a", "A"], "A"),
        ("Grade A", Literal["a", "A"], "A"),
        ("It is not approved.", Literal["approved", "not approved"], "not approved"),
        ("high - not low", Literal["low", "high"], "high"),
        ("Answer: -1", Literal[-1, 1], -1),
        ("unknown", Literal["known", "unknown"] | None, "unknown"),
        ("Unknown.", Literal["known", "unknown"] | None, "unknown"),
        ("not found", Literal["known", "unknown"] | None, None),
        ("Low", Level | None, Level.LOW),
        ("There are 12.", int | None, 12),
        ("3.5", int | float, 3.5),
        ("5", int | str, 5),
        ("-1,200.", int | str, -1200),
        ("Room 5B", int | str, "Room 5B"),
        ("Flight BA 117", int | str, "Flight BA 117"),
        ("007", int | str, "007"),
        ("It is not true that he left", bool | str, "It is not true that he left"),
        ("Yes", bool | str, True),
        ("It is low", Literal["low"] | str, "It is low"),
        ("a, b", list[str] | str, "a, b"),
        ('["a"]', list[str] | str, ["a"]),
        ("1912", datetime.datetime | str, "1912"),
        ("2024-01-05", datetime.date | str, datetime.date(2024, 1, 5)),
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
        ("1,5", float),
        ("1,2,3", int),
        ("0,500", float),
        ("1.234,5", float),
        ("1.2.3", float),
        ("3-5", int),
        ("3–5", int),
        ("2024.03.05", int),
        ("COVID-19", int),
        ("BA-117", int),
        ("F-16-22", int),
        ("B7", int),
        ("2 million", int),
        ("2.5 **billion**", float),
        ("2-million", int),
        ("three dozen, so 3 dozen", int),
        ("$5k", int),
        ("5B", int),
        ("1.2 bn", float),
        ("That is not true.", bool),
        ("It isn't true", bool),
        ("It is never quite true", bool),
        ("It isn't mentioned on page 1.", bool),
        ("N/A", bool),
        ("Answer: 1", bool),
        ("-1", bool),
        ("yes and no", bool),
        ("yes/no", bool),
        ("true? It is not true", bool),
        ("not approved", Literal["approved", "rejected"]),
        ("It isn't approved.", Literal["approved", "rejected"]),
        ("not yet **approved**", Literal["approved", "rejected"]),
        ("It isn't approved.", Literal["approved", "not approved"]),
        ("low or high", Literal["low", "high"]),
        ("high or very high", Literal["high", "very high"]),
        ("Aa", Literal["AA", "aa"]),
        ("10.5", Literal[10, 20]),
        ("about -10", Literal[10, 20]),
        ("2 million", int | None),
        ("1912", datetime.datetime),
    ],
)
def test_what_is_ambiguous_is_refused(text, kind):
    with pytest.raises(ValueError, match=r"\S"):
        coerce_text(text, kind)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        (" some prose ", str, "some prose"),
        ("**1,234**.", int, 1234),
        ("2.50", float, 2.5),
        ('"Yes."', bool, True),
        ("High!", Literal["low", "high"], "high"),
        ("not found", int | None, None),
        ("[1, 2]", list[int], [1, 2]),
        ('```json\n{"name": "Ann", "age": 3}\n```', Person, Person(name="Ann", age=3)),
        ("2024-01-05", datetime.date, datetime.date(2024, 1, 5)),
    ],
)
def test_a_text_that_as_a_whole_is_a_value(text, kind, value):
    assert coerce_whole(text, kind) == value


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("In 1912 some ships left.", int),
        ("$1,200", int),
        ("3.5", int),
        ("1,5", float),
        ("007", int),
        ("+49151", int),
        ("Yes, he did", bool),
        ("It is high", Literal["low", "high"]),
        ("There are 5", int | None),
        ("a, b", list[str]),
        ("See [1, 2].", list[int]),
        ('She is {"name": "Ann", "age": 3}', Person),
    ],
)
def test_prose_is_no_value_as_a_whole(text, kind):
    with pytest.raises(ValueError, match=r"\S"):
        coerce_whole(text, kind)


@pytest.mark.parametrize(
    ("value", "kind"),
    [("  x\n", str), ("5", int | str), (5, int | str), ("none", str | None), ("a", Literal["a"])],
)
def test_what_json_typed_stays(value, kind):
    assert exact(value, kind) == value


@pytest.mark.parametrize(("value", "kind"), [("5", int), (5, str), ("yes", bool), ("A", Level)])
def test_what_json_typed_otherwise_is_refused(value, kind):
    with pytest.raises(ValueError, match="got"):
        exact(value, kind)


@pytest.mark.parametrize(
    ("value", "kind", "typed"),
    [
        ("x", str, "x"),
        (3, str, "3"),
        (["a"], str, '["a"]'),
        ({"a": 1}, str, '{"a": 1}'),
        ([{datetime.date(2024, 1, 5): 1, 2: 3}], str, '[{"2024-01-05": 1, "2": 3}]'),
        (3, int, 3),
        ("3", int, 3),
        (3.0, int, 3),
        (True, bool, True),
        ("true", bool | str, "true"),
        ("5", int | str, "5"),
        (5, int | str, 5),
        ("[1]", list[int] | str | None, "[1]"),
        ("3", int | float, 3),
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


@pytest.mark.parametrize("read", [coerce_text, coerce_whole])
@given(st.text(max_size=60), st.sampled_from([*KINDS, Literal["low", "high"]]))
def test_any_text_gives_a_value_or_a_value_error(read, text, kind):
    try:
        value = read(text, kind)
    except ValueError:
        return
    assert validated(value, kind) == value or value != value


@given(st.integers(), st.text(alphabet="abc .", max_size=10))
def test_the_one_number_of_a_text_is_found(number, around):
    assert coerce_text(f"{around} {number} {around}", int) == number


@given(st.lists(st.text(alphabet="abcde ", min_size=1).map(str.strip).filter(bool)))
def test_json_lists_come_back(items):
    assert coerce_text(json.dumps(items), list[str]) == items
