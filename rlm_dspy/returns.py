"""Types as JSON schemas, so that a type crosses a process border as plain data.

Free of dependencies: the REPL's worker loads it. Covers what a sub-query can be asked to return;
any other type is refused by name, never guessed.
"""

import dataclasses
import enum
import types
import typing
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

_SIMPLE = {int: "integer", float: "number", bool: "boolean", str: "string", type(None): "null"}
_ARRAYS = (list, tuple, set, frozenset, Sequence, AbstractSet)
_MAX_NESTING = 20


def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON schema of a type.

    Args:
        kind: int, float, bool, str, None, Any, list[T], tuple[A, B], tuple[T, ...], set[T],
            dict[str, T], Literal[...], Optional/Union, a dataclass, an Enum or a TypedDict; a
            dict is taken to be a schema already and is returned as it is.

    Returns:
        The schema; `Any` gives the empty one.

    Raises:
        TypeError: Another type, or one that contains itself.

    Example:
        >>> schema_of(list[int])
        {'type': 'array', 'items': {'type': 'integer'}}
    """
    return _schema(kind, _MAX_NESTING)


def is_type(value: Any) -> bool:
    """Whether a value is a type in the sense of `schema_of`: a class or a typing construct."""
    return isinstance(value, type) or typing.get_origin(value) is not None or value is Any


def _schema(kind: Any, left: int) -> dict[str, Any]:
    if left == 0:
        raise TypeError(f"{_name(kind)} is nested too deep, or contains itself")
    if isinstance(kind, dict):
        return kind
    if kind is Any or kind is object:
        return {}
    kind = type(None) if kind is None else kind
    if kind in _SIMPLE:
        return {"type": _SIMPLE[kind]}
    origin, arguments = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is typing.Annotated:
        return _schema(arguments[0], left - 1)
    if origin is typing.Literal:
        return _options(list(arguments), kind)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema(one, left - 1) for one in arguments]}
    if origin in _ARRAYS:
        return _array(origin, arguments, left)
    if origin in (dict, Mapping):
        return _mapping(arguments, left)
    return _of_class(kind, left)


def _options(values: list[Any], kind: Any) -> dict[str, Any]:
    kinds = {type(value) for value in values}
    if not kinds <= _SIMPLE.keys():
        raise TypeError(f"{_name(kind)} has options that are not text, numbers, booleans or None")
    schema: dict[str, Any] = {"enum": values}
    if len(kinds) == 1:
        schema["type"] = _SIMPLE[kinds.pop()]
    return schema


def _array(origin: Any, arguments: tuple[Any, ...], left: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "array"}
    if origin is tuple and arguments and arguments[-1] is not Ellipsis:
        schema["prefixItems"] = [_schema(one, left - 1) for one in arguments]
        return schema | {"minItems": len(arguments), "maxItems": len(arguments)}
    if arguments:
        schema["items"] = _schema(arguments[0], left - 1)
    if origin in (set, frozenset, AbstractSet):
        schema["uniqueItems"] = True
    return schema


def _mapping(arguments: tuple[Any, ...], left: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    if arguments:
        if arguments[0] is not str:
            raise TypeError("a dict type needs str keys: dict[str, ...]")
        schema["additionalProperties"] = _schema(arguments[1], left - 1)
    return schema


def _of_class(kind: Any, left: int) -> dict[str, Any]:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _options([member.value for member in kind], kind)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        fields = {field.name: field.type for field in dataclasses.fields(kind)}
        needed = [f.name for f in dataclasses.fields(kind) if _has_no_default(f)]
    elif typing.is_typeddict(kind):
        fields, needed = kind.__annotations__, sorted(kind.__required_keys__)
    else:
        raise TypeError(
            f"{_name(kind)} is not a type an answer can have; use int, float, bool, str, "
            "list[...], dict[str, ...], Literal[...], a dataclass, an Enum, or a JSON schema dict"
        )
    return {
        "title": kind.__name__,
        "type": "object",
        "properties": {name: _schema(_named(one), left - 1) for name, one in fields.items()},
        "required": needed,
    }


def _named(kind: Any) -> Any:
    # Text annotations are never evaluated; the simple ones are known by name.
    if isinstance(kind, str):
        return {one.__name__: one for one in _SIMPLE}.get(kind, kind)
    return kind


def _has_no_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else repr(kind)[:80]
