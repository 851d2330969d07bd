"""`returns=` of a typed sub-query: types, their names, JSON schemas."""

import enum
from dataclasses import dataclass
from typing import Any, Literal, Optional, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from rlm_dspy.coercion import coerce_text
from rlm_dspy.errors import SubQueryError
from rlm_dspy.queries.types import as_type
from rlm_dspy.returns import schema_of


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("str", str),
        (" int ", int),
        ("bool", bool),
        ("list[str]", list[str]),
        ("list", list[Any]),
        ("dict", dict),
        ("dict[str, int]", dict[str, int]),
        ("List[int]", list[int]),
        ("list[list[int]]", list[list[int]]),
        ("Literal['a', 'b']", Literal["a", "b"]),
        ("Literal[1]", Literal[1]),
        ("int | None", int | None),
        ("Optional[int]", Optional[int]),  # noqa: UP045
    ],
)
def test_names(name, kind):
    assert as_type(name) == kind


@pytest.mark.parametrize(
    "name",
    [
        "",
        "tuple",
        "list[",
        "list[thing]",
        "dict[str]",
        "Literal[x]",
        "__import__('os')",
        "int | 3",
        "a b",
        "str\x00",
    ],
)
def test_what_is_no_type_is_refused(name):
    with pytest.raises(SubQueryError, match="is not a type"):
        as_type(name)


def test_types_and_nothing():
    assert as_type(None) is str
    assert as_type(int) is int
    assert as_type(list[str]) == list[str]


@pytest.mark.parametrize("value", [5, 2.5, object(), ["str"]])
def test_other_values_are_refused(value):
    with pytest.raises(SubQueryError, match="is not a type"):
        as_type(value)


class Color(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    label: str = ""


class Row(TypedDict):
    name: str
    tags: list[str]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (str, "a", "a"),
        (int, "3", 3),
        (float, "2.5", 2.5),
        (bool, "yes", True),
        (list[int], "[1, 2]", [1, 2]),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (Literal["a", "b"], "b", "b"),
        (int | None, "none", None),
        (Color, "red", "red"),
        (tuple[int, str], '[1, "a"]', (1, "a")),
        (set[str], '["a", "b", "a"]', {"a", "b"}),
        (list[Literal["a", "b"]], '["a"]', ["a"]),
        (Point, '{"x": 1}', {"x": 1}),
        (Point, '{"x": "1", "label": "p"}', {"x": 1, "label": "p"}),
        (Row, '{"name": "n", "tags": []}', {"name": "n", "tags": []}),
        (list[Row], '[{"name": "n", "tags": ["t"]}]', [{"name": "n", "tags": ["t"]}]),
        (Any, "anything", "anything"),
    ],
)
def test_a_type_that_crossed_as_a_schema(kind, text, value):
    assert coerce_text(text, as_type(schema_of(kind))) == value


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "object", "properties": {"_id": {"type": "integer"}}}, {"_id": 1}, {"_id": "x"}),
        ({"type": "object", "properties": {"schema": {"type": "string"}}}, {"schema": "s"}, {}),
        ({"type": "object", "properties": {"a b": {"type": "string"}}}, {"a b": "s"}, {"a b": 1}),
        ({"properties": {"a": {"type": "integer"}}, "required": []}, {}, {"a": "x"}),
        ({"type": ["integer", "null"]}, None, "x"),
        ({"oneOf": [{"type": "integer"}, {"const": "x"}]}, "x", "y"),
        ({"enum": ["a", 1, None]}, None, "b"),
        ({"type": "array", "items": {"enum": ["a"]}}, ["a"], ["b"]),
        ({"type": "integer", "minimum": 0, "exclusiveMaximum": 5}, 4, 5),
        ({"type": "number", "multipleOf": 0.5}, 1.5, 1.3),
        ({"type": "string", "pattern": "^[a-z]+$", "maxLength": 3}, "abc", "ab1"),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 1}, [1], [1, 2]),
        ({"allOf": [{"type": "integer"}]}, 1, "x"),
        ({"$ref": "#/$defs/N", "$defs": {"N": {"type": "integer"}}}, 1, "x"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 1}, {"a": "x"}),
    ],
)
def test_schemas(schema, good, bad):
    adapter = TypeAdapter(as_type(schema))
    assert adapter.validate_python(good) == good
    with pytest.raises(ValidationError):
        adapter.validate_python(bad)


def test_what_a_schema_cannot_express_is_any_value():
    assert as_type({}) is Any
    assert as_type({"$ref": "#/$defs/x"}) is Any


def test_objects_are_plain_data():
    class Inner(BaseModel):
        n: int

    value = coerce_text('{"n": 1}', as_type(Inner.model_json_schema()))
    assert type(value) is dict


def test_a_models_own_schema_with_models_in_it():
    class Item(BaseModel):
        name: str

    class Order(BaseModel):
        items: list[Item]
        first: Item | None

    kind = as_type(Order.model_json_schema())
    order = {"items": [{"name": "a"}], "first": None}
    assert coerce_text(str(order).replace("None", "null"), kind) == order
    with pytest.raises(ValueError, match="valid string"):
        coerce_text('{"items": [{"name": [1]}], "first": null}', kind)


def test_a_schema_that_refers_to_itself_ends():
    class Tree(BaseModel):
        children: "list[Tree]"

    kind = as_type(Tree.model_json_schema())
    assert coerce_text('{"children": [{"children": []}]}', kind) == {"children": [{"children": []}]}


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "integer", "minimum": 0}, "There are 1,234.", 1234),
        ({"type": "string", "minLength": 2}, "123", "123"),
    ],
)
def test_limits_are_checked_after_lenient_reading(schema, text, value):
    assert coerce_text(text, as_type(schema)) == value


def test_what_breaks_a_limit_says_which():
    with pytest.raises(ValueError, match="greater than or equal to 0, got -3"):
        coerce_text("-3", as_type({"type": "integer", "minimum": 0}))


plain = st.recursive(
    st.sampled_from([int, str, bool, float]),
    lambda inner: inner.map(lambda k: list[k]) | inner.map(lambda k: dict[str, k]),
    max_leaves=3,
)


@given(plain)
def test_plain_types_cross_unchanged(kind):
    assert as_type(schema_of(kind)) == kind
