"""Classes: what `type(x)` shows, and what a `class` statement may derive from.

Promises: model code never holds a real metaclass, nor the class of a module, function, frame or of
this package's machinery; in their place it gets a class of the same name that knows `isinstance`
and cannot be called. A `class` statement derives from the user's classes and the library's open
ones, with the metaclasses that those bring.
"""

import builtins
import types
from collections.abc import Callable, Iterable
from typing import Any

from rlm_dspy.repl import dicts, guards, names, rules


class _TypeOfTypes(type):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if len(args) != 1 or kwargs:
            raise names.PolicyError("type() with three arguments is not available: write `class`")
        return stand_in(builtins.type(args[0]))

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, type)

    def __subclasscheck__(cls, value: Any) -> bool:
        return issubclass(value, type)

    def __repr__(cls) -> str:
        return f"<class '{cls.__name__}'>"


class GuardedType(metaclass=_TypeOfTypes):
    """What model code sees as `type`: the class of a value, and no way to make classes.

    Every metaclass is shown as this class, since calling a real one makes a class unchecked.
    """

    __class_getitem__ = classmethod(types.GenericAlias)


_REAL: dict[type, type] = {}


class _Kind(type):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise names.PolicyError(f"objects of type `{cls.__name__}` cannot be made here")

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, _REAL[cls])

    def __subclasscheck__(cls, kind: Any) -> bool:
        return issubclass(kind, (cls, _REAL[cls])) if kind is not cls else True

    def __repr__(cls) -> str:
        return repr(_REAL[cls]) if cls.__module__ != "builtins" else f"<class '{cls.__name__}'>"


def shown(real: type, name: str | None = None) -> type:
    """A class for `isinstance` and for its name, which cannot be called."""
    module = "builtins" if real in rules.OPAQUE or name else real.__module__
    made = _Kind(name or real.__name__, (), {"__module__": module, "__doc__": real.__doc__})
    _REAL[made] = real
    return made


GuardedType.__name__ = GuardedType.__qualname__ = "type"
GuardedType.__module__ = "builtins"
_STAND_INS: dict[type, type] = {
    kind: shown(kind) for kind in (*rules.OPAQUE, types.FunctionType, types.MethodType)
}


def show_as(real: type, name: str) -> None:
    """Makes `type(x)` give a class of another name for instances of a class of ours."""
    _STAND_INS[real] = shown(real, name)


def hide(real: type) -> type:
    """Makes `type(x)` give a class that cannot be called or looked into; returns that class."""
    _STAND_INS[real] = shown(real)
    return _STAND_INS[real]


def stand_in(cls: type) -> type:
    """The class as model code sees it: itself, or a class that cannot be called."""
    found = _STAND_INS.get(cls)
    if found is not None:
        return found
    if issubclass(cls, type):
        return GuardedType
    if rules.is_user_class(cls) or cls in rules.OPEN_CLASSES:
        return cls
    if rules.is_ours(cls) or not rules.is_open(cls):
        found = _STAND_INS[cls] = shown(cls)
        return found
    return cls


# Types of objects that stand for a base by `__mro_entries__`, beside those of `typing` itself.
TYPING_BASES: set[type] = set()
_STAND_INS[dicts.InstanceDict] = dict
METACLASSES: dict[Any, type] = {GuardedType: type}


def shown_metaclass(real: type, name: str) -> type:
    """A class that `metaclass=` takes for a real metaclass, and that cannot be called."""
    made = shown(real, name)
    METACLASSES[made] = real
    return made


def _subclassable(base: Any) -> bool:
    if not isinstance(base, type):
        # NamedTuple, TypedDict, Generic[T], list[int]: of the typing machinery only.
        kind = type(base)
        return (
            kind in TYPING_BASES
            or kind.__module__ in ("typing", "types")
            or (kind is types.FunctionType and base.__module__ == "typing")
        )
    if rules.is_user_class(base):
        return True
    if (
        isinstance(base, (_Kind, _TypeOfTypes))
        or issubclass(base, type)
        or base in (*rules.OPAQUE, *rules.PROXIES, *rules.SEALED)
    ):
        return False
    if base.__module__.startswith(("rlm_dspy.", "asyncio", "_asyncio", "typing")):
        return base in rules.OPEN_CLASSES
    return rules.is_open(base)


def build_class(body: Any, name: str, *bases: Any, metaclass: Any = None, **kwargs: Any) -> Any:
    """Stands behind the `class` statement: checks bases and metaclass, notes the class.

    Raises:
        PolicyError: A base or metaclass that model code may not use.
    """
    check_bases(bases)
    # What an alias stands for as well, before the class exists: `__init_subclass__` and
    # `__set_name__` of the user's see it unfinished.
    check_bases(types.resolve_bases([base for base in bases if type(base) not in TYPING_BASES]))
    if metaclass is not None:
        if metaclass not in METACLASSES:
            raise names.PolicyError("metaclasses are not available: use a class decorator")
        kwargs["metaclass"] = METACLASSES[metaclass]
    with rules.pending(name):
        cls = builtins.__build_class__(body, name, *bases, **kwargs)
    check_bases(cls.__bases__)
    for attribute, value in cls.__dict__.items():
        if type(value) is types.MemberDescriptorType and names.is_dunder(attribute):
            raise names.PolicyError(names.attribute_message(attribute))  # by way of __slots__
    return rules.adopt(cls)


def check_bases(bases: tuple) -> None:
    """Refuses bases that model code may not use.

    Raises:
        PolicyError: One of them is not to derive from.
    """
    for base in bases:
        if not _subclassable(base):
            name = base.__name__ if isinstance(base, type) else type(base).__name__
            raise names.PolicyError(f"a class cannot derive from `{name}` here")


def _class_of(obj: Any) -> type:
    return stand_in(builtins.type(obj))


_SHOWN: set[type] = set()


def show(values: Iterable[Any]) -> None:
    """Lets the classes among these values be seen as bases of the user's classes."""
    _SHOWN.update(value for value in values if isinstance(value, type))


def _family(name: str, found: Callable[[type], Iterable[type]]) -> Callable[[Any], tuple]:
    """Reads `__mro__` and its kin from a class of the user's.

    The library's classes behind a facade (the real `Enum`) are left out: they are not guarded.
    """

    def reader(cls: Any) -> tuple[type, ...]:
        if isinstance(cls, type) and rules.is_user_class(cls):
            every = found(cls)
            return tuple(kind for kind in every if rules.is_user_class(kind) or kind in _SHOWN)
        raise rules.refused(cls, name)

    return reader


def _as_method(reader: Callable[[Any], tuple]) -> Callable[[Any], Callable[[], list]]:
    def method(cls: Any) -> Callable[[], list]:
        shown_now = list(reader(cls))
        return lambda: shown_now

    return method


guards.READERS["__class__"] = _class_of
guards.READERS["__mro__"] = _family("__mro__", lambda cls: cls.__mro__)
guards.READERS["__bases__"] = _family("__bases__", lambda cls: cls.__bases__)
guards.READERS["__subclasses__"] = _as_method(_family("__subclasses__", type.__subclasses__))
guards.READERS["mro"] = _as_method(_family("mro", lambda cls: cls.__mro__))
