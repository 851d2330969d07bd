"""The `returns=` of a typed sub-query as a Python type.

Types cross the REPL's boundary as JSON schemas; a name such as "int" or "list[str]" is taken too,
for interpreters whose tools take plain data only.
"""

import ast
import functools
import json
from typing import Any, Literal, Union, get_origin

from typing_extensions import NotRequired, TypedDict

from rlm_dspy.errors import SubQueryError

_SCALARS = {"string": str, "integer": int, "number": float, "boolean": bool, "null": type(None)}
_NAMES = {"str": str, "int": int, "float": float, "bool": bool, "dict": dict, "list": list[Any]}


def as_type(returns: Any) -> Any:
    """The type that `returns` stands for.

    Args:
        returns: A type, a JSON schema as a dict, or a type's name such as "list[str]".

    Returns:
        A type that pydantic validates.

    Raises:
        SubQueryError: It stands for none.
    """
    if isinstance(returns, dict):
        return _from_json(json.dumps(returns, sort_keys=True))
    if isinstance(returns, str):
        try:
            return _from_name(ast.parse(returns.strip(), mode="eval").body)
        except (SyntaxError, LookupError, ValueError, TypeError, RecursionError) as error:
            raise SubQueryError(
                f"returns={returns!r} is not a type: write str, int, float, bool, list[str], "
                "Literal['a', 'b'] or a JSON schema.",
                returns=returns,
            ) from error
    return str if returns is None else returns


@functools.lru_cache(maxsize=256)
def _from_json(schema: str) -> Any:
    return from_schema(json.loads(schema))


def from_schema(schema: dict[str, Any]) -> Any:
    """A JSON schema as a type; what it cannot express is any value."""
    if "enum" in schema:
        return Literal[tuple(schema["enum"])]
    if "const" in schema:
        return Literal[schema["const"]]
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return Union[tuple(from_schema(member) for member in schema[key])]  # noqa: UP007
    kind = schema.get("type")
    if isinstance(kind, list):
        return Union[tuple(from_schema({**schema, "type": k}) for k in kind)]  # noqa: UP007
    if kind in _SCALARS:
        return _SCALARS[kind]
    if kind == "array":
        return _array(schema)
    if kind == "object" or "properties" in schema:
        return _object(schema)
    return Any


def _array(schema: dict[str, Any]) -> Any:
    if members := schema.get("prefixItems"):
        return tuple[tuple(from_schema(member) for member in members)]
    items = schema.get("items")
    member = from_schema(items) if isinstance(items, dict) else Any
    if schema.get("uniqueItems") and (member in _SCALARS.values() or get_origin(member) is Literal):
        return set[member]
    return list[member]


def _object(schema: dict[str, Any]) -> Any:
    properties = schema.get("properties")
    if not properties:
        extra = schema.get("additionalProperties")
        return dict[str, from_schema(extra) if isinstance(extra, dict) else Any]
    required = set(schema.get("required", properties))
    fields: dict[str, Any] = {}
    for name, member in properties.items():
        kind = from_schema(member)
        fields[name] = kind if name in required else NotRequired[Union[kind, None]]  # noqa: UP007
    # Plain data, as code in the REPL gets it, and any key: a model's fields could not be "_id".
    return TypedDict(str(schema.get("title", "Answer")), fields)  # type: ignore[operator]


def _from_name(node: ast.expr) -> Any:
    if isinstance(node, ast.Name):
        return _NAMES[node.id]
    if isinstance(node, ast.Constant) and node.value is None:
        return type(None)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _from_name(node.left) | _from_name(node.right)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        name = node.value.id
        members = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name == "Literal":
            return Literal[tuple(ast.literal_eval(member) for member in members)]
        if name in ("list", "List"):
            return list[_from_name(members[0])]
        if name in ("dict", "Dict"):
            return dict[_from_name(members[0]), _from_name(members[1])]
        if name == "Optional":
            return _from_name(members[0]) | None
    raise KeyError(ast.dump(node))
