"""Types as JSON schemas."""

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Optional, TypedDict, Union

import pytest

from rlm_dspy.returns import is_type, schema_of


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Point:
    x: int
    y: "float" = 0.0
    tags: list[str] = dataclasses.field(default_factory=list)


class Row(TypedDict, total=False):
    name: str


@dataclasses.dataclass
class Node:
    children: "list[Node]"


POINT = {
    "title": "Point",
    "type": "object",
    "properties": {
        "x": {"type": "integer"},
        "y": {"type": "number"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["x"],
}
TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (str, TEXT),
        (None, {"type": "null"}),
        (Any, {}),
        (list, {"type": "array"}),
        (dict, {"type": "object"}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (Sequence[str], {"type": "array", "items": TEXT}),
        (set[str], {"type": "array", "items": TEXT, "uniqueItems": True}),
        (tuple[str, ...], {"type": "array", "items": TEXT}),
        (
            tuple[str, int],
            {
                "type": "array",
                "prefixItems": [TEXT, {"type": "integer"}],
                "minItems": 2,
                "maxItems": 2,
            },
        ),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (Mapping[str, str], {"type": "object", "additionalProperties": TEXT}),
        (Literal["a", "b"], {"enum": ["a", "b"], "type": "string"}),
        (Literal["a", 1], {"enum": ["a", 1]}),
        (Optional[str], {"anyOf": [TEXT, {"type": "null"}]}),  # noqa: UP045 - the spelling models use
        (Union[str, int], {"anyOf": [TEXT, {"type": "integer"}]}),  # noqa: UP007 - the same
        (str | None, {"anyOf": [TEXT, {"type": "null"}]}),
        (Annotated[str, "note"], TEXT),
        (Colour, {"enum": ["red", "blue"], "type": "string"}),
        (Level, {"enum": [1], "type": "integer"}),
        (Point, POINT),
        (list[Point], {"type": "array", "items": POINT}),
        (
            Row,
            {"title": "Row", "type": "object", "properties": {"name": TEXT}, "required": []},
        ),
        ({"type": "integer"}, {"type": "integer"}),
    ],
    ids=str,
)
def test_a_type_has_its_schema(kind, schema):
    assert schema_of(kind) == schema


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (complex, "complex"),
        (object(), "object"),
        (dict[int, str], "str keys"),
        (list[bytes], "bytes"),
        (Literal[b"x"], "Literal"),
        (Node, "list\\[Node\\]"),
        ("int", "int"),
    ],
    ids=str,
)
def test_another_type_is_refused_by_name(kind, names):
    with pytest.raises(TypeError, match=names):
        schema_of(kind)


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (int, True),
        (list[str], True),
        (Literal["a"], True),
        (str | None, True),
        (5, False),
        ("int", False),
    ],
)
def test_types_are_told_from_values(value, answer):
    assert is_type(value) is answer
