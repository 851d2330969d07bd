"""Types as JSON schemas, for models to read: what pydantic says of a type."""

import enum
import json
from dataclasses import is_dataclass
from typing import Any, Literal, get_args, get_origin, is_typeddict

from pydantic import BaseModel, PydanticUserError, TypeAdapter


def json_schema(annotation: Any) -> dict[str, Any] | None:
    """A type's JSON schema; None where there is none, as of an arbitrary type or a function."""
    try:
        return TypeAdapter(annotation).json_schema()
    except PydanticUserError:
        return None


def schema_text(annotation: Any) -> str:
    """A type's JSON schema, as JSON, without the titles that pydantic makes of the names.

    Returns:
        It, or an empty text where there is none.
    """
    schema = json_schema(annotation)
    return "" if schema is None else json.dumps(_untitled(schema), ensure_ascii=False)


def shape_text(annotation: Any, but: tuple[type, ...] = ()) -> str:
    """The schema of a type whose name does not say what its values are; else an empty text.

    Args:
        annotation: The type; it, or one within it, is a model, a dataclass or an enum.
        but: Types that are known otherwise.
    """
    return schema_text(annotation) if _has_shape(annotation, but) else ""


def _has_shape(annotation: Any, but: tuple[type, ...]) -> bool:
    if members := get_args(annotation):
        shaped = any(_has_shape(member, but) for member in members)
        return shaped and get_origin(annotation) is not Literal
    if not isinstance(annotation, type) or annotation in but:
        return False
    known = (BaseModel, enum.Enum)
    return issubclass(annotation, known) or is_dataclass(annotation) or is_typeddict(annotation)


def _untitled(schema: Any) -> Any:
    """A schema without titles; its parts that are data, such as defaults, as they are."""
    if not isinstance(schema, dict):
        return schema
    plain = {key: value for key, value in schema.items() if key != "title"}
    for key in ("properties", "$defs"):
        if key in plain:
            plain[key] = {name: _untitled(part) for name, part in plain[key].items()}
    for key in ("items", "additionalProperties"):
        if key in plain:
            plain[key] = _untitled(plain[key])
    for key in ("anyOf", "allOf", "oneOf", "prefixItems"):
        if key in plain:
            plain[key] = [_untitled(part) for part in plain[key]]
    return plain
