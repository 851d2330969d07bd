"""The run-time guards: what may be read from an object and written to it.

Reading follows `rules`. Only the user's own classes, functions and instances, exceptions and a few
settings are writable. A guard returns what was asked for or raises `RefusedAttribute`.
"""

import abc
import enum
import functools
import types
from collections.abc import Callable
from typing import Any

from rlm_dspy.repl import methods, names, rules
from rlm_dspy.repl.names import RefusedAttribute, exact

_FUNCTION = types.FunctionType

# Reading


def read(obj: Any, name: str) -> Any:
    """Reads a public attribute; the compiler has checked the name."""
    kind = type(obj)
    rule = rules.RULES.get(kind)
    if rule is None:
        rule = rules.rule_made(kind)
    if rule is rules.ALL and issubclass(kind, type):
        return _read_class(obj, name)
    return _denied(obj, name) if name in rule else getattr(obj, name)


def _denied(obj: Any, name: str) -> Any:
    """Reads through a proxy under the rule of what it stands for; else refuses."""
    kind = type(obj)
    if kind is types.MethodType:
        return read(obj.__func__, name)
    if kind is super:
        behind = object.__getattribute__(obj, "__self_class__")
        if name not in rules.rule_of(behind):
            return methods.from_super(obj, name, getattr(obj, name))
    elif name in rules.BEHIND and rules.is_user_function(getattr(obj, name, None)):
        return getattr(obj, name)
    raise rules.refused(obj, name)


def _read_class(cls: type, name: str) -> Any:
    """Reads a public attribute of a class."""
    if cls in rules.FREE_READ and cls in rules.USER_CLASSES and name not in ("mro", "register"):
        value = getattr(cls, name)  # nothing is refused on it
        return value if type(value) is not _FUNCTION else methods.from_class(cls, name, value)
    if name == "register" and rules.is_user_class(cls):
        return _registering(cls, getattr(cls, name))
    # `register` of a shared abstract class would change it for everyone.
    shared = not rules.is_user_class(cls) and (
        rules.is_ours(cls) or not rules.is_open(cls) or name == "register"
    )
    if name == "mro":
        return READERS["mro"](cls)
    if shared or name in rules.rule_of(cls):
        raise rules.refused(cls, name)
    return methods.from_class(cls, name, getattr(cls, name))


def _registering(cls: type, method: Any) -> Any:
    """`register` of the user's abstract class, which counts for all that it derives from."""
    if getattr(method, "__func__", None) is not abc.ABCMeta.register:
        return method
    is_shared = any(
        isinstance(base, abc.ABCMeta) and base is not abc.ABC and not rules.is_user_class(base)
        for base in cls.__mro__
    )

    def register(subclass: Any) -> Any:
        if is_shared and not (isinstance(subclass, type) and rules.is_user_class(subclass)):
            raise names.PolicyError(
                f"`{cls.__name__}.register` takes a class of your own: others are shared"
            )
        return method(subclass)

    return register


def read_special(obj: Any, name: str) -> Any:
    """Reads `format`, `_x` or a `__x__` of `names.READABLE`."""
    if name in names.FORMATTERS:
        return _safe_formatter(read(obj, name), name)
    if names.is_dunder(name):
        return _read_dunder(obj, name)
    if name in names.ENUM_MAPS:
        return _enum_map(obj, name)
    if _private(obj, name):
        return _unbound(obj, name, getattr(obj, name))
    raise rules.refused(obj, name)


def read_any(obj: Any, name: str) -> Any:
    """Reads an attribute whose name the compiler has not seen.

    Raises:
        RefusedAttribute: The policy refuses it.
        AttributeError: There is none of that name.
    """
    name = exact(name)
    if name in names.FRAME_NAMES or (names.is_dunder(name) and name not in names.READABLE):
        raise rules.refused(obj, name)
    if name[:1] == "_" or name in names.FORMATTERS:
        return read_special(obj, name)
    return read(obj, name)


def _private(obj: Any, name: str) -> bool:
    """Whether `_x` of this object may be read: its class is the user's, and so is the name."""
    kind = type(obj)
    if kind is super:
        kind = object.__getattribute__(obj, "__self_class__")
    cls = obj if issubclass(kind, type) else kind
    if rules.is_user_class(cls):
        return name not in rules.hidden_names(cls)
    if name in names.PUBLIC_UNDERSCORES:
        return issubclass(cls, (tuple, enum.Enum))
    return rules.is_user_function(obj)


def _read_dunder(obj: Any, name: str) -> Any:
    if isinstance(obj, type) and rules.is_ours(obj) and name not in _ABOUT:
        raise rules.refused(obj, name)
    if type(obj) is types.GenericAlias and name not in _ABOUT:
        raise rules.refused(obj, name)  # it would give its origin's, for any object
    special = READERS.get(name)
    if special is not None:
        return special(obj)
    if type(obj) in rules.OPAQUE:
        raise rules.refused(obj, name)
    return _unbound(obj, name, getattr(obj, name))


def _unbound(obj: Any, name: str, value: Any) -> Any:
    """A method that was read from a class, or from a `super()` that was asked about a class."""
    if isinstance(obj, type):
        return methods.from_class(obj, name, value)
    return methods.from_super(obj, name, value) if type(obj) is super else value


_ABOUT = frozenset({"__class__", "__name__", "__qualname__", "__doc__", "__module__"})


def _named(name: str) -> Callable[[Any], Any]:
    def reader(obj: Any) -> Any:
        if type(obj) in rules.OPAQUE:
            raise rules.refused(obj, name)
        answer = rules.ANSWERS.get((type(obj), name))
        return answer(obj) if answer else getattr(obj, name)

    return reader


def _annotations(obj: Any) -> dict[str, Any]:
    if (isinstance(obj, type) and rules.is_user_class(obj)) or rules.is_user_function(obj):
        return dict(getattr(obj, "__annotations__", {}))
    raise rules.refused(obj, "__annotations__")


def _initialiser(obj: Any) -> Any:
    # Called on a shared object, `__init__` would make it anew.
    if isinstance(obj, type) or type(obj) is super or rules.is_user_class(type(obj)):
        return _unbound(obj, "__init__", obj.__init__)
    raise rules.refused(obj, "__init__")


def _subclass_hook(obj: Any) -> Any:
    # Called on a class of the library, it would set that class up anew.
    cls = object.__getattribute__(obj, "__self_class__") if type(obj) is super else obj
    if isinstance(cls, type) and rules.is_user_class(cls):
        return obj.__init_subclass__
    raise rules.refused(obj, "__init_subclass__")


def _enum_map(obj: Any, name: str) -> Any:
    if isinstance(obj, enum.EnumMeta) and rules.is_user_class(obj):
        return getattr(obj, name).copy()
    raise rules.refused(obj, name)


def _wrapped(obj: Any) -> Any:
    # What a function of the library wraps takes any object for its own (see `methods`).
    behind = obj.__func__ if type(obj) is types.MethodType else obj
    if type(behind) is types.FunctionType and not rules.is_user_function(behind):
        raise rules.refused(obj, "__wrapped__")
    return obj.__wrapped__


def _slots(obj: Any) -> Any:
    if rules.is_user_class(obj if isinstance(obj, type) else type(obj)):
        return obj.__slots__
    raise rules.refused(obj, "__slots__")


def _members(obj: Any) -> Any:
    if isinstance(obj, type) and rules.is_user_class(obj):
        return obj.__members__
    raise rules.refused(obj, "__members__")


def _attribute_method(name: str, check: Callable[[Any, str], Any]) -> Callable[[Any], Any]:
    """`super().__setattr__`, `object.__setattr__` and their kin, each call checked."""

    def reader(obj: Any) -> Any:
        method = getattr(obj, name)
        if rules.is_user_function(method) or rules.is_user_function(
            getattr(method, "__func__", None)
        ):
            return method
        if isinstance(obj, type):

            def call(target: Any, attribute: str, *value: Any) -> Any:
                check(target, exact(attribute))
                return method(target, exact(attribute), *value)
        else:
            bound = object.__getattribute__(obj, "__self__") if type(obj) is super else obj

            def call(attribute: str, *value: Any) -> Any:
                check(bound, exact(attribute))
                return method(exact(attribute), *value)

        return call

    return reader


def keywords(given: Any) -> Any:
    """What stands behind `**` in a call, its names plain texts."""
    plain = type(given) is dict and all(type(name) is str for name in given)
    if plain or not hasattr(given, "keys"):  # Python says what it is not
        return given
    found = given.keys()  # as Python asks: iterating `given` may say something else
    return {exact(name): given[name] for name in found}


# Writing


def write(obj: Any, name: str) -> Any:
    """Returns the object, if the attribute may be set or deleted on it."""
    kind = type(obj)
    is_class = issubclass(kind, type)
    if _writable_name(obj, name, is_class):
        if rules.is_user_class(obj if is_class else kind) or rules.is_user_function(obj):
            return obj
        if _settable(kind, name):
            return obj
        raise RefusedAttribute(
            f"{rules.described(obj)} is read-only: attribute `{name}` cannot be set; "
            "keep the value in a variable or a class of your own"
        )
    raise rules.refused(obj, name)


def _writable_name(obj: Any, name: str, is_class: bool) -> bool:
    if name[:1] != "_":
        return name not in names.FRAME_NAMES
    if names.is_dunder(name):
        wanted = names.WRITABLE if is_class else names.WRITABLE_ON_FUNCTIONS
        return name in wanted and (is_class or type(obj) is types.FunctionType)
    if names.is_reserved(name):
        return name in names.PUBLIC_UNDERSCORES
    return name not in rules.hidden_names(obj if is_class else type(obj))


# No attribute of their instances can be set by anyone: Python's own error says so.
_FIXED = frozenset(
    {bool, bytes, complex, dict, float, frozenset, int, list, range, set, str, tuple}
    | {types.NoneType}
)


def _settable(kind: type, name: str) -> bool:
    if kind in _FIXED:
        return True
    for base in kind.__mro__:
        if base in rules.WRITABLE_TYPES:
            allowed = rules.WRITABLE_TYPES[base]
            return name[:1] != "_" and (allowed is None or name in allowed)
    return False


# Format strings: `formatting` puts its `format` and `format_map` here.

FORMAT_METHODS: dict[str, Callable[..., str]] = {}


def _safe_formatter(method: Any, name: str) -> Any:
    """The method, or a guarded one where it is the string type's own."""
    if type(method) is types.BuiltinMethodType and isinstance(method.__self__, str):
        return functools.partial(FORMAT_METHODS[name], exact(method.__self__))
    if type(method) is types.MethodDescriptorType and method.__objclass__ is str:
        return FORMAT_METHODS[name]
    return method


READERS: dict[str, Callable[[Any], Any]] = {
    "__annotations__": _annotations,
    "__init__": _initialiser,
    "__init_subclass__": _subclass_hook,
    "__members__": _members,
    "__slots__": _slots,
    "__wrapped__": _wrapped,
    "__setattr__": _attribute_method("__setattr__", write),
    "__delattr__": _attribute_method("__delattr__", write),
} | {name: _named(name) for name in ("__name__", "__doc__")}
