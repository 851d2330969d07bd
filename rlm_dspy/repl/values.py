"""Plain data as bytes and back: the only values that cross between the host and a worker.

Promises: `decode(encode(v)) == v`, types included, for None, bool, int (up to `MAX_INT_BITS`),
float (nan and infinities too), str (lone surrogates too), bytes, `Missing`, list, tuple, dict (any
plain keys), set and frozenset; nesting up to `MAX_DEPTH`, items up to `MAX_ITEMS`. Decoding never
builds anything else, runs no code of the sender, and refuses what would cost far more than its
bytes: deep nesting, huge counts, keys made to collide. Does not promise speed for odd types:
lists of plain atoms and dicts with str keys go through the C encoder of `json`; everything else
is tagged one by one.
"""

import base64
import json
from collections.abc import Callable
from typing import Any

from rlm_dspy.missing import Missing
from rlm_dspy.placed import Origin, Placed

MAX_DEPTH = 100
MAX_ITEMS = 2_000_000
MAX_INT_BITS = 1 << 20
# Equal hashes tolerated in one set or dict before it counts as an attack (quadratic time to build).
MAX_COLLISIONS = 64

_TAG = "$"
_SMALL = 1 << 63
_ATOMS = frozenset({str, float, bool, type(None)})
_SEQUENCES = {"tuple": tuple, "set": set, "frozenset": frozenset}


class ProtocolError(ValueError):
    """Bytes that are no value or frame of this protocol, or that break one of its limits."""


def _refuse(value: Any) -> Any:
    raise TypeError(f"a value of type {type(value).__name__} is not plain data")


def encode(value: Any, convert: Callable[[Any], Any] = _refuse) -> bytes:
    """Encode plain data.

    Args:
        value: The value.
        convert: Called with each value of another type; returns plain data, or a `Placed` with one
            origin, or raises TypeError.

    Returns:
        UTF-8 JSON with tags for what JSON does not know.

    Raises:
        TypeError: A value that is not plain data and that `convert` refuses.
        ValueError: Too deep, too many items, or an int that is too large.
    """
    packed = _Packer(convert, escape=False).pack(value, 0)
    try:
        return json.dumps(packed, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # a lone surrogate somewhere: the second pass tags such strings
        packed = _Packer(convert, escape=True).pack(value, 0)
        return json.dumps(packed, ensure_ascii=False, separators=(",", ":")).encode()


class _Packer:
    """One walk over a value, counting items."""

    def __init__(self, convert: Callable[[Any], Any], *, escape: bool):
        self.convert = convert
        self.escape = escape
        self.left = MAX_ITEMS

    def pack(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            return self._text(value) if self.escape else value
        if kind in _ATOMS:
            return value
        if kind is int:
            return _pack_int(value)
        if kind is bytes:
            return {_TAG: "bytes", "v": base64.b64encode(value).decode()}
        if kind is Missing and type(value.reason) is str:
            return {_TAG: "missing", "v": self.pack(value.reason, depth)}
        if depth >= MAX_DEPTH:
            raise ValueError(f"the value is nested deeper than {MAX_DEPTH} levels")
        if kind is list:
            return self._items(value, depth)
        if kind is dict:
            return self._mapping(value, depth)
        if kind in (tuple, set, frozenset):
            return self._tagged(kind.__name__, self._items(list(value), depth))
        return self._converted(self.convert(value), depth)

    def _tagged(self, kind: str, items: list[Any]) -> Any:
        if kind == "tuple":
            return {_TAG: kind, "v": items}
        if not all(map(_is_hashable, items)):
            return items  # what the items became is in no set
        return {_TAG: kind, "v": _in_order(items)}

    def _converted(self, value: Any, depth: int) -> Any:
        if type(value) is Placed:
            return {_TAG: "placed", "v": [str(value), *value.origins[0]]}
        return self.pack(value, depth + 1)

    def _spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise ValueError(f"the value has more than {MAX_ITEMS:,} items")

    def _items(self, items: list[Any], depth: int) -> list[Any]:
        self._spend(len(items))
        if not self.escape and _goes_as_it_is(items):
            return items
        return [self.pack(item, depth + 1) for item in items]

    def _mapping(self, items: dict[Any, Any], depth: int) -> dict[str, Any]:
        self._spend(len(items))
        plain = _TAG not in items and all(type(key) is str for key in items)
        if plain and not (self.escape and any(not _is_utf8(key) for key in items)):
            return {key: self.pack(item, depth + 1) for key, item in items.items()}
        pairs = [[self.pack(k, depth + 1), self.pack(v, depth + 1)] for k, v in items.items()]
        return {_TAG: "dict", "v": pairs}

    def _text(self, value: str) -> Any:
        if _is_utf8(value):
            return value
        raw = value.encode("utf-8", "surrogatepass")
        return {_TAG: "str", "v": base64.b64encode(raw).decode()}


def _is_hashable(packed: Any) -> bool:
    if type(packed) is not dict:
        return type(packed) is not list
    tag = packed.get(_TAG)
    if tag in ("tuple", "frozenset"):
        return all(map(_is_hashable, packed["v"]))
    return tag not in (None, "dict", "set")


def _goes_as_it_is(items: list[Any]) -> bool:
    kinds = set(map(type, items))
    return kinds <= _ATOMS or (kinds == {int} and min(items) >= -_SMALL and max(items) < _SMALL)


def _in_order(items: list[Any]) -> list[Any]:
    """The items of a set in an order that is the same in every process, whatever its hash seed."""
    return sorted(items, key=None if all(type(item) is str for item in items) else json.dumps)


def _is_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _pack_int(value: int) -> Any:
    if -_SMALL <= value < _SMALL:
        return value
    if value.bit_length() > MAX_INT_BITS:
        raise ValueError(f"an int of {value.bit_length():,} bits is larger than {MAX_INT_BITS:,}")
    return {_TAG: "int", "v": hex(value)}


def decode(raw: bytes | bytearray | memoryview) -> Any:
    """Decode what `encode` made; anything else is refused.

    Args:
        raw: The bytes, from a sender that may lie.

    Returns:
        The value.

    Raises:
        ProtocolError: The bytes are not such a value, or break a limit.
    """
    data = bytes(raw)
    opened = data.count(b"[") + data.count(b"{")
    if opened + data.count(b",") > 4 * MAX_ITEMS:
        raise ProtocolError(f"more than {4 * MAX_ITEMS:,} items in one value")
    try:
        value = json.loads(data.decode(), object_hook=_untag)
    except ProtocolError:
        raise
    except (ValueError, RecursionError, TypeError, OverflowError) as error:
        raise ProtocolError(f"not a value of this protocol: {type(error).__name__}") from None
    if opened > MAX_DEPTH:
        _check_depth(value)
    return value


def _untag(item: dict[str, Any]) -> Any:
    if _TAG not in item:
        return item
    tag, value = item[_TAG], item.get("v")
    if len(item) != 2 or type(tag) is not str:
        raise ProtocolError("a malformed tag")
    if tag in ("bytes", "str", "int") and type(value) is str:
        return _untag_text(tag, value)
    if tag == "missing" and type(value) is str:
        return Missing(value)
    if tag == "placed" and type(value) is list:
        return _placed(value)
    if tag in _SEQUENCES and type(value) is list:
        if tag != "tuple":
            _check_collisions(value)
        return _SEQUENCES[tag](value)
    if tag == "dict" and type(value) is list:
        pairs = [(pair[0], pair[1]) for pair in value if type(pair) is list and len(pair) == 2]
        if len(pairs) == len(value):
            _check_collisions([key for key, _ in pairs])
            return dict(pairs)
    raise ProtocolError("an unknown or malformed tag")


def _placed(value: list[Any]) -> Placed:
    if list(map(type, value)) == [str, int, int, int]:
        text, context, start, end = value
        if 0 <= context < _SMALL and 0 <= start <= end < _SMALL:
            return Placed(text, [Origin(context, start, end)])
    raise ProtocolError("a malformed tag")


def _untag_text(tag: str, value: str) -> Any:
    if tag == "int":
        if len(value) > MAX_INT_BITS // 4 + 4:
            raise ProtocolError("an int that is too large")
        return int(value, 16)
    raw = base64.b64decode(value, validate=True)
    return raw if tag == "bytes" else raw.decode("utf-8", "surrogatepass")


def _check_collisions(keys: list[Any]) -> None:
    if len(keys) - len(set(map(hash, keys))) > MAX_COLLISIONS:
        raise ProtocolError("keys that collide")


def _check_depth(value: Any) -> None:
    """Refuse nesting beyond the limit; level by level, since recursion is what is being
    prevented.
    """
    level = [value]
    for _ in range(2 * MAX_DEPTH + 8):  # a tag adds a level on the wire but not in the value
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(x for x in item.values() if isinstance(x, list | dict | tuple))
                below.extend(x for x in item if isinstance(x, tuple))
            else:
                below.extend(x for x in item if isinstance(x, list | dict | tuple | frozenset))
        if not below:
            return
        level = below
    raise ProtocolError(f"nesting deeper than {MAX_DEPTH} levels")
