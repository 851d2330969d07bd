"""Python data as JSON: that gives the same data back, or that others read."""

import base64
import contextlib
import datetime
import decimal
import json
from collections.abc import Callable
from typing import Any

# What JSON has no form for is a dict with this single key, and the value's kind and form.
_MARK = "__rlm__"
_JSON_KEYS = (str, int, float, bool)

_TO: tuple[tuple[type, str, Callable[[Any], Any]], ...] = (
    (bytes, "bytes", lambda value: base64.b64encode(value).decode("ascii")),
    (datetime.datetime, "datetime", lambda value: value.isoformat()),
    (datetime.date, "date", lambda value: value.isoformat()),
    (datetime.time, "time", lambda value: value.isoformat()),
    (datetime.timedelta, "timedelta", lambda value: value.total_seconds()),
    (decimal.Decimal, "decimal", str),
    (complex, "complex", lambda value: [value.real, value.imag]),
)
_FROM: dict[str, Callable[[Any], Any]] = {
    "tuple": lambda items: tuple(map(from_plain_json, items)),
    "set": lambda items: set(map(from_plain_json, items)),
    "frozenset": lambda items: frozenset(map(from_plain_json, items)),
    "dict": lambda pairs: {from_plain_json(k): from_plain_json(v) for k, v in pairs},
    "float": float,
    "bytes": base64.b64decode,
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "timedelta": lambda seconds: datetime.timedelta(seconds=seconds),
    "decimal": decimal.Decimal,
    "complex": lambda parts: complex(*parts),
}


def as_plain_json(value: Any) -> Any:
    """Plain data as what `json.dumps` takes.

    Args:
        value: None, bool, int, float, str, bytes, dates, decimals, and lists, tuples, sets and
            dicts of these; subclasses of them are not plain.

    Raises:
        TypeError: There is something else in it.
    """
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        finite = value == value and abs(value) != float("inf")
        return value if finite else {_MARK: ["float", repr(value)]}
    if kind is list:
        return [as_plain_json(item) for item in value]
    if kind is dict:
        if all(type(key) is str and key != _MARK for key in value):
            return {key: as_plain_json(item) for key, item in value.items()}
        pairs = [[as_plain_json(key), as_plain_json(item)] for key, item in value.items()]
        return {_MARK: ["dict", pairs]}
    if kind in (tuple, set, frozenset):
        return {_MARK: [kind.__name__, [as_plain_json(item) for item in value]]}
    for known, name, form in _TO:
        if kind is known:
            return {_MARK: [name, form(value)]}
    raise TypeError(f"{kind.__name__} is not plain data")


def json_of(value: Any, *, finite: bool = True) -> str:
    """A value as JSON for readers: of models and dataclasses the fields, of enums the value.

    Args:
        value: Anything; of bytes it is Base64, of what JSON has no form for the text.
        finite: A number that JSON does not have is null; else `NaN` or `Infinity`, as Python
            writes and reads it.
    """
    from pydantic_core import to_jsonable_python

    value = with_text_keys(value)
    nonfinite = "null" if finite else "constants"
    with contextlib.suppress(TypeError, ValueError):  # a key in a model: then the model is its text
        value = to_jsonable_python(value, fallback=str, bytes_mode="base64", inf_nan_mode=nonfinite)
    return json.dumps(value, ensure_ascii=False, default=str)


def with_text_keys(value: Any) -> Any:
    """A value whose dicts, however deep, have only keys that JSON has: of any other, its text.

    Args:
        value: Any value; in lists, tuples and dicts alone is looked for dicts.
    """
    if isinstance(value, dict):
        return {
            key if key is None or isinstance(key, _JSON_KEYS) else str(key): with_text_keys(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [with_text_keys(item) for item in value]
    return value


def from_plain_json(value: Any) -> Any:
    """The data that `as_plain_json` made this of.

    Raises:
        ValueError: It made no such thing.
    """
    if isinstance(value, list):
        return [from_plain_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) != {_MARK}:
        return {key: from_plain_json(item) for key, item in value.items()}
    name, form = value[_MARK]
    if name not in _FROM:
        raise ValueError(f"{name!r} is no kind of plain data")
    return _FROM[name](form)
