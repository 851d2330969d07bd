"""What is known about types: which are the user's, which are open, and what is refused on them.

Objects of the user's own classes are open. Objects of built-in types, of the types behind the
facades and of this package give their public attributes, minus a short list. Everything else
(modules, frames, code, tracebacks, whatever leaks from somewhere) gives nothing.

Rules go by `type(x)`, never by `isinstance(x, …)` or by asking the object: a user's object answers
what it likes. They are cached by type.
"""

import contextlib
import dataclasses
import functools
import re
import types
from collections.abc import Callable, Collection, Generator
from typing import Any

from rlm_dspy.repl import names, reducing
from rlm_dspy.repl.names import RefusedAttribute

# Types from these modules give their public attributes. A type belongs here when none of its
# public attributes leads to a module, a namespace, a frame, a file or a process.
_OPEN_MODULES = """
    builtins abc array ast base64 binascii bisect calendar cmath collections collections.abc
    contextlib copy csv _csv dataclasses datetime decimal difflib enum fractions functools
    graphlib hashlib _hashlib _blake2 _md5 _sha1 _sha256 _sha512 _sha2 _sha3 hmac heapq html
    html.parser io _io itertools json json.decoder json.encoder math numbers operator _operator
    random _random re secrets statistics string struct _struct textwrap time tomllib types typing
    unicodedata urllib.parse uuid queue _queue zlib asyncio asyncio.events asyncio.exceptions
    asyncio.futures asyncio.locks asyncio.mixins asyncio.queues asyncio.taskgroups asyncio.tasks
    asyncio.timeouts _asyncio
"""
OPEN_MODULES = frozenset(_OPEN_MODULES.split())
OPAQUE = frozenset(
    {types.ModuleType, types.FrameType, types.CodeType, types.TracebackType, types.CellType}
)


class Everything:
    """A set that has every name in it, but some."""

    def __init__(self, but: Collection[str] = ()):
        self._but = but

    def __contains__(self, name: object) -> bool:
        return name not in self._but


ALL = Everything()
NONE: frozenset[str] = frozenset()
# What a descriptor calls its functions.
BEHIND = frozenset({"fget", "fset", "fdel", "func"})
# Public attributes that are refused on a type and its subclasses.
DENIED: dict[type, frozenset[str]] = {
    AttributeError: frozenset({"obj"}),  # the object whose attribute was missing: any object
    # The library's function behind an attribute takes any object for its own (see `methods`).
    property: BEHIND,
    types.DynamicClassAttribute: BEHIND,
    functools.cached_property: BEHIND,
    functools.partialmethod: BEHIND,
    # Its index of groups stands for the pattern's own, which every user of the pattern shares.
    re.Pattern: frozenset({"groupindex", "scanner"}),
}
# Classes of the library that trusted code obeys by their attributes, which could be set on
# instances of a subclass: the names of fields, and the key that a cached value is kept under; and
# those that give their private methods, which a subclass could have, functions of other classes.
SEALED = (
    *(dataclasses.Field, functools.cached_property, functools.partialmethod),
    *(contextlib.ExitStack, contextlib.AsyncExitStack),
)
# Public attributes that may be set on instances of types that are not the user's (None: any).
WRITABLE_TYPES: dict[type, frozenset[str] | None] = {}
# What a `__x__` of a class of ours answers to model code, whatever the interpreter gets.
ANSWERS: dict[tuple[type, str], Callable[[Any], Any]] = {}
# Classes of the REPL, and of modules that are not open, whose instances model code holds; other
# instances of such classes give nothing.
OPEN_INSTANCES: set[type] = set()
# Classes of this package that model code may subclass and construct like those of the library.
OPEN_CLASSES: set[type] = set()

USER_CLASSES: set[type] = set()
# A `super()`, a bound method and a generic alias answer for another object: `guards` asks that one,
# or refuses.
PROXIES = (super, types.MethodType, types.GenericAlias)
RULES: dict[type, Any] = {kind: ALL for kind in (*OPAQUE, *PROXIES)}
_HIDDEN: dict[type, frozenset[str]] = {}
# What compiled code asks before it calls a guard (see `policy`): the types any public attribute of
# whose instances may be read; the user's classes, any public attribute of whose instances may be
# set; and those that derive from the user's classes alone, so that every `_x` is the user's.
FREE_READ: set[type] = set()
FREE_WRITE: set[type] = set()
FREE_PRIVATE: set[type] = set()
_PENDING: list[str] = []


@contextlib.contextmanager
def pending(name: str) -> Generator[None]:
    """While a class of this name is made, one of that name from the user's module is the user's."""
    _PENDING.append(name)
    try:
        yield
    finally:
        _PENDING.pop()


def adopt(cls: type) -> type:
    """Notes a class as the user's own; returns it."""
    USER_CLASSES.add(cls)
    reducing.settle(cls)
    RULES.pop(cls, None)
    _HIDDEN.pop(cls, None)
    if not issubclass(cls, type):
        FREE_WRITE.add(cls)
        if all(base is object or base in USER_CLASSES for base in cls.__mro__):
            FREE_PRIVATE.add(cls)
    return cls


def is_user_class(cls: type) -> bool:
    """Whether model code defined a class, or is defining it."""
    if cls in USER_CLASSES:
        return True
    # `__init_subclass__` and enum members run before the class statement is over.
    if _PENDING and cls.__dict__.get("__module__") == "__main__" and cls.__name__ == _PENDING[-1]:
        adopt(cls)
        return True
    return False


def is_user_function(value: object) -> bool:
    """Whether a value is a function that model code defined."""
    return type(value) is types.FunctionType and names.SANDBOX_MARK in value.__globals__


def is_users(value: object) -> bool:
    """Whether a value is a class, a function or an instance that the user may write to."""
    kind = value if isinstance(value, type) else type(value)
    return is_user_class(kind) or is_user_function(value)


def is_open(cls: type) -> bool:
    """Whether instances of a class that is not the user's give their public attributes."""
    if cls in OPAQUE:
        return False
    if cls in OPEN_INSTANCES:
        return True
    module = cls.__module__
    if type(module) is not str or module == "typing":  # aliases of `typing` are proxies as well
        return False
    if module.startswith("rlm_dspy.repl."):
        return cls in OPEN_CLASSES
    return module in OPEN_MODULES or module.startswith("rlm_dspy.")


def rule_made(cls: type) -> Any:
    """The public attributes that are refused on instances of a class."""
    if issubclass(cls, type) or not (is_user_class(cls) or is_open(cls)):
        rule: Any = ALL
    else:
        rule = frozenset().union(*(DENIED.get(base, NONE) for base in cls.__mro__))
    RULES[cls] = rule
    if rule == NONE:
        FREE_READ.add(cls)
    return rule


def rule_of(cls: type) -> Any:
    """The public attributes that are refused on instances of a class."""
    rule = RULES.get(cls)
    return rule_made(cls) if rule is None else rule


def is_ours(cls: type) -> bool:
    """Whether a class is this package's machinery, which model code has no business with."""
    return cls.__module__.startswith("rlm_dspy.") and cls not in OPEN_CLASSES


def hidden_names(cls: type) -> frozenset[str]:
    """The `_x` names that a user's class inherits from classes that are not the user's."""
    found = _HIDDEN.get(cls)
    if found is None:
        # What a class's own class gives it counts as well: `Color._convert_` writes to modules.
        bases = [base for base in (*cls.__mro__, *type(cls).__mro__) if base not in USER_CLASSES]
        every = {name for base in bases for name in base.__dict__ if name.startswith("_")}
        found = _HIDDEN[cls] = frozenset(every) - names.PUBLIC_UNDERSCORES
    return found


def refused(obj: object, name: str) -> RefusedAttribute:
    """The error for an attribute that may not be read or set."""
    return RefusedAttribute(names.attribute_message(name, f"{described(obj)}"))


def described(obj: object) -> str:
    """What to call an object in a message."""
    if isinstance(obj, type):
        return f"class `{obj.__name__}`"
    answer = ANSWERS.get((type(obj), "__name__"))
    return f"module `{answer(obj)}`" if answer else f"`{type(obj).__name__}`"
