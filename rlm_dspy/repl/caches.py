"""Caches of the library that are kept over all steps, and what they would take for their keys.

A text or a number of a class of the user's equals what it likes: found in such a cache, or put into
it, it would change what later steps get for the real key. So what is looked up there is made plain.
"""

import _strptime  # ty: ignore[import-not-found]
import re
import struct
import typing
from collections.abc import Callable
from typing import Any

from rlm_dspy.repl.modules import exported
from rlm_dspy.repl.names import exact

_FORMATTED = "calcsize iter_unpack pack pack_into unpack unpack_from"


def plain(value: Any) -> Any:
    """A text, bytes or a number without what its class says of it; anything else as it is."""
    if isinstance(value, str):
        return exact(value)
    if isinstance(value, int):
        return int.__int__(value)
    return bytes(memoryview(value)) if isinstance(value, bytes) else value


def install() -> None:
    """Have `re` and `strptime` look up plain keys; for a process of model code alone."""
    for module, name in ((re, "_compile"), (_strptime, "_strptime")):
        vars(module)[name] = _on_plain(name, vars(module)[name])


def forget() -> None:
    """Empty the caches of `typing`, whose keys are types and whatever stands for one."""
    for clear in typing._cleanups:  # ty: ignore[missing-attribute]
        clear()


def struct_names() -> dict[str, Any]:
    """What `struct` exports; its functions look their format up in a cache."""
    functions = {name: _on_plain(name, getattr(struct, name), 1) for name in _FORMATTED.split()}
    return exported(struct) | functions


def _on_plain(name: str, real: Callable[..., Any], count: int = 2) -> Callable[..., Any]:
    """A function whose first arguments are made plain."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return real(*map(plain, args[:count]), *args[count:], **kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = real.__doc__
    return call
