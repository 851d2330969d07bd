"""The `returns=` of a typed sub-query as a Python type.

Types cross the REPL's boundary as JSON schemas; a name such as "int" or "list[str]" is taken too,
for interpreters whose tools take plain data only.
"""

import ast
import functools
import json
from typing import Annotated, Any, Literal, NotRequired, Optional, Union, get_origin

from pydantic import Field
from typing_extensions import TypedDict

from rlm_dspy.errors import SubQueryError
from rlm_dspy.returns import is_type

# Generics as values: a type checker takes `list[kind]` for a type expression.
_LIST: Any = list
_DICT: Any = dict
_SET: Any = set
_TUPLE: Any = tuple
_LITERAL: Any = Literal
_UNION: Any = Union
_OPTIONAL: Any = Optional
_NOT_REQUIRED: Any = NotRequired
_TYPED_DICT: Any = TypedDict
_ANNOTATED: Any = Annotated

# How deep types may nest: a schema that refers to itself has no end.
MAX_NESTING = 12
_LIMITS = {
    "minimum": "ge",
    "exclusiveMinimum": "gt",
    "maximum": "le",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
    "pattern": "pattern",
}

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
            raise _no_type(returns) from error
    if returns is None:
        return str
    if not is_type(returns):
        raise _no_type(returns)
    return returns


def _no_type(returns: Any) -> SubQueryError:
    return SubQueryError(
        f"returns={returns!r} is not a type: write str, int, float, bool, list[str], "
        "Literal['a', 'b'] or a JSON schema.",
        returns=returns,
    )


@functools.lru_cache(maxsize=256)
def _from_json(schema: str) -> Any:
    return from_schema(json.loads(schema))


def from_schema(schema: dict[str, Any]) -> Any:
    """A JSON schema as a type; what it cannot express is any value."""
    return _Schemas(schema.get("$defs") or schema.get("definitions") or {}).kind(schema, 0)


class _Schemas:
    """The schemas of one document.

    Args:
        named: Those that others refer to, by name.
    """

    def __init__(self, named: dict[str, Any]):
        self._named = named

    def kind(self, schema: dict[str, Any], depth: int) -> Any:
        """A schema's type, so many levels below the document's own."""
        if depth > MAX_NESTING:  # it refers to itself
            return Any
        bare = self._bare(schema, depth)
        limits = {field: schema[key] for key, field in _LIMITS.items() if key in schema}
        return _ANNOTATED[bare, Field(**limits)] if limits and bare is not Any else bare

    def _bare(self, schema: dict[str, Any], depth: int) -> Any:
        if "$ref" in schema:
            named = self._named.get(str(schema["$ref"]).rsplit("/", 1)[-1])
            return Any if named is None else self.kind(named, depth + 1)
        if "enum" in schema:
            return _LITERAL[tuple(schema["enum"])]
        if "const" in schema:
            return _LITERAL[schema["const"]]
        for key in ("anyOf", "oneOf", "allOf"):
            if key in schema and (key != "allOf" or len(schema[key]) == 1):
                return _UNION[tuple(self.kind(member, depth + 1) for member in schema[key])]
        kind = schema.get("type")
        if isinstance(kind, list):
            return _UNION[tuple(self._bare({**schema, "type": k}, depth) for k in kind)]
        if kind == "array":
            return self._array(schema, depth)
        if kind == "object" or "properties" in schema:
            return self._object(schema, depth)
        return _SCALARS.get(kind, Any)

    def _array(self, schema: dict[str, Any], depth: int) -> Any:
        if members := schema.get("prefixItems"):
            return _TUPLE[tuple(self.kind(member, depth + 1) for member in members)]
        items = schema.get("items")
        member = self.kind(items, depth + 1) if isinstance(items, dict) else Any
        plain = member in _SCALARS.values() or get_origin(member) is Literal
        return _SET[member] if schema.get("uniqueItems") and plain else _LIST[member]

    def _object(self, schema: dict[str, Any], depth: int) -> Any:
        properties = schema.get("properties")
        if not properties:
            extra = schema.get("additionalProperties")
            member = self.kind(extra, depth + 1) if isinstance(extra, dict) else Any
            return _DICT[str, member]
        required = set(schema.get("required", properties))
        fields: dict[str, Any] = {}
        for name, member in properties.items():
            kind = self.kind(member, depth + 1)
            fields[name] = kind if name in required else _NOT_REQUIRED[_OPTIONAL[kind]]
        # Plain data, as code in the REPL gets it, and any key: a model's fields could not be "_id".
        return _TYPED_DICT(str(schema.get("title", "Answer")), fields)


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
            return _LITERAL[tuple(ast.literal_eval(member) for member in members)]
        if name in ("list", "List"):
            return _LIST[_from_name(members[0])]
        if name in ("dict", "Dict"):
            return _DICT[_from_name(members[0]), _from_name(members[1])]
        if name == "Optional":
            return _from_name(members[0]) | None
    raise KeyError(ast.dump(node))
