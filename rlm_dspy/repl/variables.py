"""What the host has bound in a worker, so that the same values given again cost nothing.

A value is sent again only when it changed: unchangeable values are compared by identity or
equality, containers with a copy of their structure (its items shared, so comparing is quick). A
change that keeps equality (1 to 1.0) is not seen. Values that are no plain data are converted and
compared as such.
"""

import os
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from rlm_dspy.dspy_errors import InterpreterError
from rlm_dspy.repl.protocol import Channel
from rlm_dspy.repl.sharing import seal
from rlm_dspy.wire import Parcel

# Texts from this length on, in characters, go as shared memory and not in a frame.
BIG_TEXT = 1 << 20

_ATOMS = (str, int, float, bool, bytes, type(None))


def to_plain(value: Any) -> Any:
    """Plain data in place of a host's value: pydantic models, dataclasses, enums, dates,
    subclasses.

    Raises:
        TypeError: It has no plain form.
    """
    for kind in (str, int, float, dict, list, set, frozenset):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, tuple):
        return value._asdict() if hasattr(value, "_asdict") else tuple(value)
    try:
        return to_jsonable_python(value)
    except PydanticSerializationError as error:
        raise TypeError(
            f"a value of type {type(value).__name__} is not plain data: {error}"
        ) from None


@dataclass
class Variable:
    """One value that the host gave.

    Args:
        value: As given.
        mirror: What it looked like when it was sent.
    """

    value: Any
    mirror: Any
    number: int = -1  # the sealed memory's descriptor
    sizes: tuple[int, ...] = ()
    parcel: Parcel | None = None

    def is_still(self, value: Any) -> bool:
        """Whether this value, given again, is what was sent."""
        if value is self.value and (self.parcel is not None or isinstance(value, _ATOMS)):
            return True
        if type(value) is str and type(self.value) is str:
            return value == self.value
        if type(value) is not type(self.value) or self.parcel is not None:
            return False
        try:
            return bool(_mirror(value) == self.mirror)
        except (TypeError, ValueError, RecursionError):  # `prepare` says what is wrong with it
            return False

    def duplicate(self) -> "Variable":
        """The same for another session."""
        number = os.dup(self.number) if self.number >= 0 else -1
        return Variable(self.value, self.mirror, number, self.sizes, self.parcel)

    def close(self) -> None:
        """Give its shared memory back."""
        if self.number >= 0:
            os.close(self.number)
            self.number = -1


def prepare(name: str, value: Any) -> Variable:
    """Make a value ready to be sent.

    Args:
        name: For the error.
        value: Plain data, something that becomes plain data, or a value with `__to_worker__`.

    Raises:
        InterpreterError: It cannot enter the REPL.
    """
    try:
        if hasattr(type(value), "__to_worker__"):
            parcel = value.__to_worker__()
        elif type(value) is str and len(value) >= BIG_TEXT:
            parcel = Parcel("str", (value,))
        else:
            return Variable(value, _mirror(value))
        number, sizes = seal(parcel.buffers)
    except (TypeError, ValueError, OSError, RecursionError) as error:
        raise InterpreterError(f"the variable {name!r} cannot enter the REPL: {error}") from error
    return Variable(value, None, number, tuple(sizes), parcel)


def send(channel: Channel, name: str, variable: Variable, deadline: float) -> None:
    """Send one variable.

    Args:
        channel: The worker's connection.
        name: The variable's name.
        variable: Its value, prepared.
        deadline: `time.monotonic()` value.

    Raises:
        InterpreterError: It cannot enter the REPL.
        OSError: The worker is gone.
    """
    parcel = variable.parcel
    try:
        if parcel is not None:
            message = {"op": "map", "name": name, "loader": parcel.loader, "meta": parcel.meta}
            message["sizes"] = list(variable.sizes)
            channel.send(message, fds=[variable.number], deadline=deadline, convert=to_plain)
        else:
            message = {"op": "bind", "name": name, "value": variable.value}
            channel.send(message, deadline=deadline, convert=to_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise InterpreterError(f"the variable {name!r} cannot enter the REPL: {error}") from error


def _mirror(value: Any) -> Any:
    kind = type(value)
    if isinstance(value, _ATOMS):
        return value
    if kind in (list, tuple):
        items = value if set(map(type, value)) <= set(_ATOMS) else map(_mirror, value)
        return kind(items)
    if kind is dict:
        return {key: _mirror(item) for key, item in value.items()}
    if kind in (set, frozenset):
        return kind(value)
    return _mirror(to_plain(value))
