"""What leaves the REPL as plain data: near-plain values made plain, others refused with advice.

Used by the worker for the arguments of tools and for submitted values. Subclasses and views of
the plain containers become them; dates become ISO text; types become JSON schemas; a `Context` or
`Span` becomes its text. All of it runs in the worker, so a value that lies harms nobody but
itself.
"""

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import itertools
from collections.abc import Callable, Iterator, Mapping, MappingView, Sequence
from typing import Any

from rlm_dspy.placed import Origin, Placed
from rlm_dspy.repl.values import MAX_ITEMS
from rlm_dspy.returns import is_type, schema_of


def _read(value: Iterator[Any]) -> list[Any]:
    """What a generator gives; the many are refused when they are counted."""
    return list(itertools.islice(value, MAX_ITEMS + 1))


_CONVERT: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (enum.Enum, lambda value: value.value),
    (str, lambda value: str.__str__(value)),
    (int, lambda value: int.__int__(value)),
    (float, lambda value: float.__float__(value)),
    (bytes | bytearray | memoryview, bytes),
    (collections.UserDict, dict),
    (dict, lambda value: dict(value.items())),
    (list | collections.deque | range | MappingView | collections.UserList, list),
    (tuple, tuple),
    (set, set),
    (frozenset, frozenset),
    (datetime.date | datetime.time, lambda value: value.isoformat()),
    (decimal.Decimal, float),
    (fractions.Fraction, float),
    (Sequence, list),  # one that is read lazily, as the lines of a context
    (Mapping, dict),
    (Iterator, _read),
)


def to_placed(value: Any) -> Any:
    """As `to_plain`, but a piece of a context of the host says where it stands there.

    Args:
        value: The value.

    Raises:
        TypeError: It cannot leave the REPL.
    """
    if hasattr(type(value), "__rlm_origin__") and (origin := value.__rlm_origin__()) is not None:
        return Placed(value.__rlm_text__(), [Origin(*origin)])
    return to_plain(value)


def to_plain(value: Any) -> Any:
    """Plain data in place of one value that is not.

    Args:
        value: The value; what it contains is converted by later calls.

    Returns:
        Plain data, or a container whose items may need converting in turn.

    Raises:
        TypeError: It cannot leave the REPL; the message says what can.
    """
    if hasattr(
        type(value), "__rlm_text__"
    ):  # asked of the class: `__getattr__` may answer anything
        return value.__rlm_text__()
    if is_type(value):
        return schema_of(value)
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    for kind, convert in _CONVERT:
        if isinstance(value, kind):
            return convert(value)
    raise TypeError(
        f"a value of type {type(value).__name__} cannot leave the REPL: pass str, int, float, "
        "bool, None, or lists and dicts of them"
    )
