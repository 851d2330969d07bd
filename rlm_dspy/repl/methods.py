"""Methods read from a class, not from an instance: they take any object for their own.

`Class.method(x)` is a plain function where the class is written in Python; called with a module, a
class or a function in place of an instance it would set attributes on it, or call its class, with
the trust of the library. So what a class gives is wrapped to take its own instances only. Methods
written in C check that themselves.

The library copies attributes too: `update_wrapper` gives a wrapper all that is in the dictionary of
what it wraps. Of a class (`lru_cache(ChainMap)`) that would be its plain functions, unwrapped.
"""

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping
from types import FunctionType, MappingProxyType
from typing import Any

from rlm_dspy.repl import names, rules

_update_wrapper = functools.update_wrapper


def install() -> None:
    """Have the library copy the attributes of functions only; for a process of model code alone.

    It is changed in its module, where `wraps`, `lru_cache`, `contextmanager` and the context
    managers that decorate look it up.
    """
    vars(functools)["update_wrapper"] = _wrapper_updated
    # What every field without metadata shows: comparing it hands out what it stands before.
    vars(dataclasses)["_EMPTY_METADATA"] = MappingProxyType(_Nothing())


class _Nothing(Mapping[Any, Any]):
    def __getitem__(self, key: Any) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _wrapper_updated(
    wrapper: Any,
    wrapped: Any,
    assigned: Any = functools.WRAPPER_ASSIGNMENTS,
    updated: Any = functools.WRAPPER_UPDATES,
) -> Any:
    copied = updated if type(wrapped) is FunctionType else ()
    return _update_wrapper(wrapper, wrapped, assigned, copied)


def from_class(cls: type, name: str, value: Any) -> Any:
    """What reading an attribute of a class gives to model code.

    Args:
        cls: The class.
        name: The attribute's name.
        value: What the class itself gives.
    """
    if type(value) is not FunctionType or rules.is_user_function(value):
        return value
    return _checked(cls.__mro__, name, value)


def from_super(proxy: Any, name: str, value: Any) -> Any:
    """The same for a `super()` that was asked about a class."""
    if type(value) is not FunctionType or rules.is_user_function(value):
        return value
    mro = object.__getattribute__(proxy, "__self_class__").__mro__
    after = mro.index(object.__getattribute__(proxy, "__thisclass__")) + 1
    return _checked(mro[after:], name, value)


def _checked(mro: Iterable[type], name: str, value: FunctionType) -> Any:
    owner = next((base for base in mro if name in base.__dict__), None)
    if owner is None or owner.__dict__[name] is not value:
        return value  # a static method: it has no object
    if rules.is_user_class(owner) and not names.is_dunder(name):
        return value  # a function of a module that the user put into a class
    return _method(owner, name, value)


@functools.lru_cache(maxsize=500)
def _method(owner: type, name: str, function: FunctionType) -> FunctionType:
    def method(*args: Any, **kwargs: Any) -> Any:
        if not args or owner not in type(args[0]).__mro__:
            got = rules.described(args[0]) if args else "nothing"
            raise TypeError(f"{owner.__name__}.{name}() needs a `{owner.__name__}`, not {got}")
        return function(*args, **kwargs)

    method.__name__, method.__qualname__ = name, function.__qualname__
    method.__doc__ = function.__doc__
    return method
