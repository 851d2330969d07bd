"""The facade of `copy`: copies of the user's data, without a look into how they are made.

The library's `deepcopy` notes in a dict, the memo, what it has copied, and keeps the originals
there: among them the real dictionaries of objects and modules. It hands the memo to every
`__deepcopy__`, and works with what it finds in it. So a `__deepcopy__` of the user's gets a memo of
its own, and only what that says of the very object is passed on.
"""

import copy
import copyreg
import types
from collections.abc import Callable
from typing import Any

from rlm_dspy.repl import rules, specials
from rlm_dspy.repl.modules import Facade, facade, listed
from rlm_dspy.repl.names import PolicyError

_NO_DATA = (type, types.FunctionType, types.MethodType, types.BuiltinFunctionType, Facade)


class Memo(dict):
    """What a `__deepcopy__` of the user's has for a memo.

    Args:
        real: The library's memo.
        owner: The object that is copied.
    """

    def __init__(self, real: dict[int, Any], owner: Any):
        super().__init__()
        self._real, self._owner = real, owner

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        if key == id(self._owner):
            self._real[id(self._owner)] = value

    def __copy__(self) -> dict[Any, Any]:
        return dict(self)

    def __deepcopy__(self, memo: Any) -> dict[Any, Any]:
        return dict(self)


def _checked_deepcopy(raw: Any) -> Callable[[Any, Any], Any]:
    """`__deepcopy__`, with a memo of its own."""
    bind = getattr(type(raw), "__get__", None)

    def __deepcopy__(self: Any, memo: Any) -> Any:
        method = raw if bind is None else bind(raw, self, type(self))
        made = method(memo if type(memo) is Memo else Memo(memo, self))
        if isinstance(made, _NO_DATA) and not rules.is_users(made):
            raise PolicyError(f"`__deepcopy__` returned {rules.described(made)}: return a copy")
        return made

    return __deepcopy__


def install() -> None:
    """Have `copy` give methods as they are; for a process of model code alone.

    It would take one apart: as `getattr` of its object and a name, which code may have set, or as
    its function and another object, which need not be of its class (see `methods`).
    """
    for kind in (types.MethodType, types.MethodWrapperType):
        copyreg.dispatch_table[kind] = _as_it_is
        vars(copy)["_deepcopy_dispatch"][kind] = _as_it_is


def _as_it_is(value: Any, memo: Any = None) -> Any:
    # For `copy` a reduction to a text says that the value is its own copy.
    return "" if memo is None else value


def _deepcopy(x: Any, memo: Any = None) -> Any:
    """`copy.deepcopy`; of memos, it goes on with those that it gave out."""
    return copy.deepcopy(x, memo._real if type(memo) is Memo else {})


def _copy() -> Facade:
    return facade("copy", **listed(copy, "copy replace Error error"), deepcopy=_deepcopy)


COPY_FACADES = {"copy": _copy()}
specials.CHECKS["__deepcopy__"] = _checked_deepcopy
rules.OPEN_INSTANCES.add(Memo)
