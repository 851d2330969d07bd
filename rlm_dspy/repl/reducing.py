"""How `copy` takes an object of the user's apart: by its class, never by what its dictionary says.

`copy` does what an object's `__reduce_ex__` tells: it calls anything and sets attributes on what
comes out. It would take an entry of that name in the instance's dictionary for the method. Each
class of the user's therefore has a descriptor of that name, which goes before such an entry.
"""

import functools
from typing import Any

from rlm_dspy.repl import names
from rlm_dspy.repl.names import PolicyError

# What the library sets on instances: `update_wrapper`, and the call of a generic alias.
_HARMLESS = frozenset({*functools.WRAPPER_ASSIGNMENTS, "__wrapped__", "__orig_class__"})


def _reduce(obj: Any, protocol: Any) -> Any:
    """What `copy` needs to know of an object, from its class and its ordinary attributes."""
    own = getattr(obj, "__dict__", None)
    if type(own) is dict and any(names.is_dunder(name) and name not in _HARMLESS for name in own):
        raise PolicyError("an object with special names among its attributes cannot be copied")
    for base in type(obj).__mro__:
        found = base.__dict__.get("__reduce_ex__")
        if found is not None and found is not REDUCE:
            return found.__get__(obj, type(obj))(protocol)
    raise AssertionError("object has a __reduce_ex__")  # pragma: no cover


class _Reduce:
    """A descriptor with a setter, so that it goes before an entry of the instance's dictionary."""

    __slots__ = ()

    def __get__(self, obj: Any, cls: Any = None) -> Any:
        return self if obj is None else functools.partial(_reduce, obj)

    def __set__(self, obj: Any, value: Any) -> None:
        raise PolicyError(names.attribute_message("__reduce_ex__"))


REDUCE = _Reduce()


def settle(cls: type) -> None:
    """Makes copies of a class's instances go by `_reduce`."""
    if getattr(cls, "__reduce_ex__", None) is not REDUCE:
        type.__setattr__(cls, "__reduce_ex__", REDUCE)
