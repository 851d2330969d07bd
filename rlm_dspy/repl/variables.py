"""What the host has bound in a worker, so that the same values given again cost nothing.

A value is sent again only when it changed: unchangeable values are compared by identity or
equality, containers with a copy of their structure (its items shared, so comparing is quick). A
change that keeps equality (1 to 1.0) is not seen. Values that are no plain data are converted and
compared as such.
"""

import keyword
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from rlm_dspy.dspy_errors import InterpreterError
from rlm_dspy.repl.protocol import Channel
from rlm_dspy.repl.values import encode
from rlm_dspy.shared import SealedMemory, Shared
from rlm_dspy.wire import Parcel

# From this length on, in characters of a text or bytes of other data, a value goes as shared memory
# and not in a frame.
BIG = 1 << 20

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
    parcel: Parcel | None = None
    buffers: tuple[Shared, ...] = ()  # the parcel's, as they go over

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
        elif type(value) is str and len(value) >= BIG:
            parcel = Parcel("str", (value,))
        else:
            return Variable(value, _mirror(value))
        buffers = tuple(map(_shared, parcel.buffers))
    except (TypeError, ValueError, OSError, RecursionError) as error:
        raise InterpreterError(f"the variable {name!r} cannot enter the REPL: {error}") from error
    return Variable(value, None, parcel, buffers)


def _shared(buffer: Any) -> Shared:
    return buffer if isinstance(buffer, Shared) else SealedMemory.of([buffer])


class Given:
    """The variables that the host gave a session, by name."""

    def __init__(self) -> None:
        self._variables: dict[str, Variable] = {}

    @property
    def names(self) -> set[str]:
        """Their names."""
        return set(self._variables)

    @property
    def functions(self) -> dict[str, Any]:
        """What they may call on the host, by name."""
        parcels = [each.parcel for each in self._variables.values() if each.parcel is not None]
        return {name: called for each in parcels for name, called in each.functions.items()}

    def copy(self) -> "Given":
        """The same for another session."""
        twin = Given()
        twin._variables = dict(self._variables)
        return twin

    def take(self, given: Mapping[str, Any]) -> None:
        """Take values; what has not changed stays what it is.

        Raises:
            InterpreterError: A name that is none, or a value that cannot enter the REPL.
        """
        for name, value in given.items():
            if not (isinstance(name, str) and name.isidentifier()) or keyword.iskeyword(name):
                raise InterpreterError(f"the variable name {name!r} is no Python identifier")
            known = self._variables.get(name)
            if known is None or not known.is_still(value):
                self._variables[name] = self._prepared(name, value)

    def _prepared(self, name: str, value: Any) -> Variable:
        """A variable; the one there is where another name holds the same object."""
        for variable in self._variables.values():
            if variable.value is value and variable.is_still(value):
                return variable
        return prepare(name, value)

    def take_back(self, names: Iterable[str]) -> None:
        """Forget variables that may be what was refused: a recovery would send them again."""
        for name in list(names):
            self._variables.pop(name, None)

    def send(self, worker: Any, names: Iterable[str] | None = None) -> bool:
        """Give a worker the variables that it does not have; whether there were any.

        Args:
            worker: A `Peer`.
            names: Which of them; None: all.

        Raises:
            InterpreterError: One cannot enter the REPL.
            OSError: The worker is gone.
        """
        sent = False
        for name in list(self._variables if names is None else names):
            variable = self._variables[name]
            if worker.bound.get(name) is not variable:
                worker.bind(name, variable)
                sent = True
        return sent


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
    try:
        if variable.parcel is not None:
            _send_parcel(channel, name, variable.parcel, variable.buffers, deadline)
            return
        body = encode({"op": "bind", "name": name, "value": variable.value}, to_plain)
        if len(body) < BIG:
            channel.send_encoded(body, deadline=deadline)
        else:
            whole = SealedMemory.of([encode(variable.value, to_plain)])
            _send_parcel(channel, name, Parcel("plain"), (whole,), deadline)
    except (TypeError, ValueError, RecursionError) as error:
        raise InterpreterError(f"the variable {name!r} cannot enter the REPL: {error}") from error


def _send_parcel(
    channel: Channel, name: str, parcel: Parcel, buffers: tuple[Shared, ...], deadline: float
) -> None:
    message = {"op": "map", "name": name, "loader": parcel.loader, "meta": parcel.meta}
    message["buffers"] = [(b.size, b.stamp, b.name) for b in buffers]
    numbers = [b.number for b in buffers]
    channel.send(message, fds=numbers, deadline=deadline, convert=to_plain)


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
