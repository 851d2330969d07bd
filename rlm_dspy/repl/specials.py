"""Special methods of the user's classes that trusted code obeys, kept from leading it astray.

Library code asks an *instance* for names that the compiler never sees (`copy` asks for
`__setstate__`), and writes to whatever `__new__` returns (`copy` restores the state of an object
there). So `__getattr__` is not asked for special names, and `__new__` returns what the user may
write to. Both are wrapped where the class body ends, before the class exists.
"""

import datetime
import decimal
import types
from collections.abc import Callable
from typing import Any

from rlm_dspy.repl import names, rules
from rlm_dspy.repl.names import PolicyError, exact

# Values without attributes of their own: nothing can be written to them.
_PLAIN = frozenset(
    {bool, bytearray, bytes, complex, dict, float, frozenset, int, list, set, str, tuple}
    | {datetime.date, datetime.datetime, datetime.time, datetime.timedelta, decimal.Decimal}
    | {type(None)}
)


_NO_OBJECTS = (type, types.FunctionType)


def _checked_getattr(raw: Any) -> Callable[[Any, str], Any]:
    """`__getattr__`, never asked for a special name: those are looked for on the class alone."""
    bind = getattr(type(raw), "__get__", None)

    def __getattr__(self: Any, name: str) -> Any:
        if names.is_dunder(name):
            kind = type(self).__name__
            raise AttributeError(f"'{kind}' object has no attribute '{name}'", name=name, obj=self)
        return raw(name) if bind is None else bind(raw, self, type(self))(name)

    return __getattr__


def _checked_new(raw: Any) -> staticmethod:
    """`__new__`, which gives an object of the user's or a plain value."""
    make = raw.__func__ if isinstance(raw, staticmethod) else raw

    def __new__(cls: Any, *args: Any, **kwargs: Any) -> Any:
        made = make(cls, *args, **kwargs)
        # A class is no object of its own: `enum` would call its `__init__` with another object.
        if type(made) in _PLAIN or (rules.is_users(made) and not isinstance(made, _NO_OBJECTS)):
            return made
        raise PolicyError(
            f"`__new__` returned {rules.described(made)}: return super().__new__(cls)"
        )

    return staticmethod(__new__)


def _fixed_slots(raw: Any) -> Any:
    """`__slots__` that stay as they were when the class was made: `copy` goes by them later."""
    if isinstance(raw, str):
        return exact(raw)
    return tuple(exact(name) for name in raw)


# `copying` puts its `__deepcopy__` here.
CHECKS: dict[str, Callable[[Any], Any]] = {
    "__getattr__": _checked_getattr,
    "__new__": _checked_new,
    "__slots__": _fixed_slots,
}


def special(name: str, raw: Any) -> Any:
    """What stands in a class for a special method of `names.CHECKED` that its body defined."""
    return CHECKS[name](raw)
