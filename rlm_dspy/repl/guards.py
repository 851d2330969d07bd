"""The run-time guards: what may be read from, written to and derived from an object.

The rule has three parts. Objects of the user's own classes are open. Objects of built-in types, of
the types behind the facades and of this package give their public attributes, minus a short list.
Everything else (modules, frames, code, tracebacks, whatever leaks from somewhere) gives nothing.
Only the user's own classes, functions and instances, exceptions and a few settings are writable.

Guards decide by `type(x)`, never by `isinstance(x, …)` or by asking the object: a user's object
answers what it likes. Decisions are cached by type.
"""

import builtins
import enum
import functools
import types
from collections.abc import Callable
from typing import Any

from rlm_dspy.repl import names
from rlm_dspy.repl.names import RefusedAttribute, exact

# Types from these modules give their public attributes. A type belongs here when none of its
# public attributes leads to a module, a namespace, a frame, a file or a process.
OPEN_MODULES = frozenset(
    """builtins abc array ast base64 binascii bisect calendar cmath collections collections.abc
    contextlib copy csv _csv dataclasses datetime decimal difflib enum fractions functools graphlib
    hashlib _hashlib _blake2 _md5 _sha1 _sha256 _sha512 _sha2 _sha3 hmac heapq html html.parser io _io itertools
    json json.decoder json.encoder math numbers operator _operator random _random re secrets
    statistics string struct _struct textwrap time tomllib types typing unicodedata
    urllib.parse uuid zlib asyncio asyncio.events asyncio.exceptions asyncio.futures asyncio.locks
    asyncio.mixins asyncio.queues asyncio.taskgroups asyncio.tasks asyncio.timeouts _asyncio""".split()
)
OPAQUE = frozenset(
    {types.ModuleType, types.FrameType, types.CodeType, types.TracebackType, types.CellType}
)


class _Everything:
    """A set that has every name in it."""

    def __contains__(self, name: object) -> bool:
        return True


_ALL = _Everything()
_NONE: frozenset[str] = frozenset()
# Public attributes that are refused on a type and its subclasses.
DENIED: dict[type, frozenset[str]] = {
    AttributeError: frozenset({"obj"}),  # the object whose attribute was missing: any object
}
# Public attributes that may be set on instances of types that are not the user's (None: any).
WRITABLE_TYPES: dict[type, frozenset[str] | None] = {}
# Classes of this package that model code may subclass and construct like those of the library.
OPEN_CLASSES: set[type] = set()

USER_CLASSES: set[type] = set()
_RULES: dict[type, Any] = {kind: _ALL for kind in (*OPAQUE, super)}
_HIDDEN: dict[type, frozenset[str]] = {}
# What compiled code asks before it calls a guard (see `policy`): the types any public attribute of
# whose instances may be read; the user's classes, any public attribute of whose instances may be
# set; and those of them that derive from the user's classes alone, so that every `_x` is the user's.
FREE_READ: set[type] = set()
FREE_WRITE: set[type] = set()
FREE_PRIVATE: set[type] = set()
_PENDING: list[str] = []


def adopt(cls: type) -> type:
    """Notes a class as the user's own; returns it."""
    USER_CLASSES.add(cls)
    _RULES.pop(cls, None)
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


def _open(cls: type) -> bool:
    if cls in OPAQUE:
        return False
    module = cls.__module__
    return type(module) is str and (module in OPEN_MODULES or module.startswith("rlm_dspy."))


def _rule(cls: type) -> Any:
    """The public attributes that are refused on instances of a class."""
    if issubclass(cls, type) or not (is_user_class(cls) or _open(cls)):
        rule: Any = _ALL
    else:
        rule = frozenset().union(*(DENIED.get(base, _NONE) for base in cls.__mro__))
    _RULES[cls] = rule
    if rule == _NONE:
        FREE_READ.add(cls)
    return rule


def _refuse(obj: object, name: str) -> RefusedAttribute:
    return RefusedAttribute(names.attribute_message(name, f"{_kind(obj)}"))


def _kind(obj: object) -> str:
    if isinstance(obj, type):
        return f"class `{obj.__name__}`"
    return f"`{type(obj).__name__}`"


# Reading


def read(obj: Any, name: str) -> Any:
    """Reads a public attribute; the compiler has checked the name."""
    kind = type(obj)
    rule = _RULES.get(kind)
    if rule is None:
        rule = _rule(kind)
    if name in rule:
        return _read_class(obj, name) if issubclass(kind, type) else _denied(obj, name)
    return getattr(obj, name)


def _denied(obj: Any, name: str) -> Any:
    """Reads through `super()`, whose rule is that of the class it stands for; else refuses."""
    if type(obj) is super and name not in _rule_of(object.__getattribute__(obj, "__self_class__")):
        return getattr(obj, name)
    raise _refuse(obj, name)


def _rule_of(cls: type) -> Any:
    rule = _RULES.get(cls)
    return _rule(cls) if rule is None else rule


def _read_class(cls: type, name: str) -> Any:
    """Reads a public attribute of a class."""
    # `register` of a shared abstract class would change it for everyone.
    shared = not is_user_class(cls) and (_is_ours(cls) or not _open(cls) or name == "register")
    if shared or name == "mro" or name in _rule_of(cls):
        raise _refuse(cls, name)
    return getattr(cls, name)


def _is_ours(cls: type) -> bool:
    """Whether a class is this package's machinery, which model code has no business with."""
    return cls.__module__.startswith("rlm_dspy.") and cls not in OPEN_CLASSES


def read_special(obj: Any, name: str) -> Any:
    """Reads `format`, `_x` or a `__x__` of `names.READABLE`."""
    if name in names.FORMATTERS:
        return _safe_formatter(read(obj, name), name)
    if names.is_dunder(name):
        return _read_dunder(obj, name)
    if _private(obj, name):
        return getattr(obj, name)
    raise _refuse(obj, name)


def read_any(obj: Any, name: str) -> Any:
    """Reads an attribute whose name the compiler has not seen.

    Raises:
        RefusedAttribute: The policy refuses it.
        AttributeError: There is none of that name.
    """
    if name in names.FRAME_NAMES or (names.is_dunder(name) and name not in names.READABLE):
        raise _refuse(obj, name)
    if name[:1] == "_" or name in names.FORMATTERS:
        return read_special(obj, name)
    return read(obj, name)


def _hidden(cls: type) -> frozenset[str]:
    """The `_x` names that a user's class inherits from classes that are not the user's."""
    found = _HIDDEN.get(cls)
    if found is None:
        # What a class's own class gives it (`Color._convert_` of the enum machinery) counts as well.
        bases = [base for base in (*cls.__mro__, *type(cls).__mro__) if base not in USER_CLASSES]
        every = {name for base in bases for name in base.__dict__ if name.startswith("_")}
        found = _HIDDEN[cls] = frozenset(every) - names.PUBLIC_UNDERSCORES
    return found


def _private(obj: Any, name: str) -> bool:
    """Whether `_x` of this object may be read: its class is the user's, and so is the name."""
    kind = type(obj)
    if kind is super:
        kind = object.__getattribute__(obj, "__self_class__")
    cls = obj if issubclass(kind, type) else kind
    if is_user_class(cls):
        return name not in _hidden(cls)
    if name in names.PUBLIC_UNDERSCORES:
        return issubclass(cls, (tuple, enum.Enum))
    return is_user_function(obj)


def _read_dunder(obj: Any, name: str) -> Any:
    if isinstance(obj, type) and _is_ours(obj) and name not in _ABOUT:
        raise _refuse(obj, name)
    special = _DUNDERS.get(name)
    if special is not None:
        return special(obj)
    if type(obj) in OPAQUE:
        raise _refuse(obj, name)
    return getattr(obj, name)


_ABOUT = frozenset({"__class__", "__name__", "__qualname__", "__doc__", "__module__"})


def _named(name: str) -> Callable[[Any], Any]:
    def reader(obj: Any) -> Any:
        if type(obj) in OPAQUE:
            raise _refuse(obj, name)
        facade = getattr(type(obj), "facade_names", None)
        return facade[name](obj) if facade and name in facade else getattr(obj, name)

    return reader


def own_dict(obj: Any) -> dict[str, Any]:
    """What `vars(obj)` gives: the attributes of an object or class of the user's.

    Raises:
        RefusedAttribute: The object is not of a class of the user's.
    """
    if isinstance(obj, type) and is_user_class(obj):
        return {name: value for name, value in obj.__dict__.items() if not names.is_reserved(name)}
    free = WRITABLE_TYPES.get(type(obj), _NONE) is None
    if free or is_user_class(type(obj)) or is_user_function(obj):
        return InstanceDict(obj)
    raise _refuse(obj, "__dict__")


def _annotations(obj: Any) -> dict[str, Any]:
    if (isinstance(obj, type) and is_user_class(obj)) or is_user_function(obj):
        return dict(getattr(obj, "__annotations__", {}))
    raise _refuse(obj, "__annotations__")


def _initialiser(obj: Any) -> Any:
    # Called on a shared object, `__init__` would make it anew.
    if isinstance(obj, type) or type(obj) is super or is_user_class(type(obj)):
        return obj.__init__
    raise _refuse(obj, "__init__")


def _members(obj: Any) -> Any:
    if isinstance(obj, type) and is_user_class(obj):
        return obj.__members__  # ty: ignore[unresolved-attribute]
    raise _refuse(obj, "__members__")


def _attribute_method(name: str, check: Callable[[Any, str], Any]) -> Callable[[Any], Any]:
    """`super().__setattr__`, `object.__setattr__` and their kin, each call checked."""

    def reader(obj: Any) -> Any:
        method = getattr(obj, name)
        if is_user_function(method) or is_user_function(getattr(method, "__func__", None)):
            return method
        if isinstance(obj, type):

            def call(target: Any, attribute: str, *value: Any) -> Any:
                check(target, exact(attribute))
                return method(target, exact(attribute), *value)
        else:
            bound = object.__getattribute__(obj, "__self__") if type(obj) is super else obj

            def call(attribute: str, *value: Any) -> Any:  # ty: ignore[invalid-argument-type]
                check(bound, exact(attribute))
                return method(exact(attribute), *value)

        return call

    return reader


# Writing


def write(obj: Any, name: str) -> Any:
    """Returns the object, if the attribute may be set or deleted on it."""
    kind = type(obj)
    is_class = issubclass(kind, type)
    if _writable_name(obj, name, is_class):
        if is_user_class(obj if is_class else kind) or is_user_function(obj):
            return obj
        if _settable(kind, name):
            return obj
        raise RefusedAttribute(
            f"{_kind(obj)} is read-only: attribute `{name}` cannot be set; "
            "keep the value in a variable or a class of your own"
        )
    raise _refuse(obj, name)


def _writable_name(obj: Any, name: str, is_class: bool) -> bool:
    if name[:1] != "_":
        return name not in names.FRAME_NAMES
    if names.is_dunder(name):
        wanted = names.WRITABLE if is_class else names.WRITABLE_ON_FUNCTIONS
        return name in wanted and (is_class or type(obj) is types.FunctionType)
    if names.is_reserved(name):
        return name in names.PUBLIC_UNDERSCORES
    return name not in _hidden(obj if is_class else type(obj))


def _settable(kind: type, name: str) -> bool:
    for base in kind.__mro__:
        if base in WRITABLE_TYPES:
            allowed = WRITABLE_TYPES[base]
            return name[:1] != "_" and (allowed is None or name in allowed)
    return False


class InstanceDict(dict):
    """`obj.__dict__` of a user's object: a copy whose changes go through the write guard."""

    def __init__(self, obj: Any):
        super().__init__(
            {key: value for key, value in obj.__dict__.items() if not names.is_dunder(key)}
        )
        dict.__setattr__(self, "_owner", obj)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return dict, (dict(self),)

    def __setitem__(self, key: str, value: Any) -> None:
        key = exact(key)
        object.__setattr__(write(self._owner, key), key, value)
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        key = exact(key)
        object.__delattr__(write(self._owner, key), key)
        super().__delitem__(key)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Sets many attributes."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def __ior__(self, other: Any) -> "InstanceDict":
        self.update(other)
        return self

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Sets an attribute that is missing."""
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, *default: Any) -> Any:
        """Removes an attribute and gives its value."""
        value = super().get(key, *default)
        if key in self:
            del self[key]
        elif not default:
            raise KeyError(key)
        return value

    def popitem(self) -> tuple[str, Any]:
        """Removes the last attribute."""
        key = next(reversed(self))
        return key, self.pop(key)

    def clear(self) -> None:
        """Removes all attributes."""
        for key in list(self):
            del self[key]


# Types


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
    module = "builtins" if real in OPAQUE or name else real.__module__
    made = _Kind(name or real.__name__, (), {"__module__": module, "__doc__": real.__doc__})
    _REAL[made] = real
    return made


GuardedType.__name__ = GuardedType.__qualname__ = "type"
GuardedType.__module__ = "builtins"
_STAND_INS: dict[type, type] = {kind: shown(kind) for kind in (*OPAQUE, types.FunctionType)}


def show_as(real: type, name: str) -> None:
    """Makes `type(x)` give a class of another name for instances of a class of ours."""
    _STAND_INS[real] = shown(real, name)


def stand_in(cls: type) -> type:
    """The class as model code sees it: itself, or a class that cannot be called."""
    found = _STAND_INS.get(cls)
    if found is None and _is_ours(cls):
        found = _STAND_INS[cls] = shown(cls)
    if found is not None:
        return found
    return GuardedType if issubclass(cls, type) else cls


# Types of objects that stand for a base by `__mro_entries__`, beside those of `typing` itself.
TYPING_BASES: set[type] = set()
_STAND_INS[InstanceDict] = dict
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
        return kind in TYPING_BASES or kind.__module__ in ("typing", "types") or (
            kind is types.FunctionType and base.__module__ == "typing"
        )
    if is_user_class(base):
        return True
    if isinstance(base, (_Kind, _TypeOfTypes)) or issubclass(base, type) or base in OPAQUE:
        return False
    if base.__module__.startswith(("rlm_dspy.", "asyncio")):
        return base in OPEN_CLASSES
    return _open(base)


def build_class(body: Any, name: str, *bases: Any, metaclass: Any = None, **kwargs: Any) -> Any:
    """Stands behind the `class` statement: checks bases and metaclass, notes the class.

    Raises:
        PolicyError: A base or metaclass that model code may not use.
    """
    _check_bases(bases)
    if metaclass is not None:
        if metaclass not in METACLASSES:
            raise names.PolicyError("metaclasses are not available: use a class decorator")
        kwargs["metaclass"] = METACLASSES[metaclass]
    _PENDING.append(name)
    try:
        cls = builtins.__build_class__(body, name, *bases, **kwargs)
    finally:
        _PENDING.pop()
    _check_bases(cls.__bases__)
    for attribute, value in cls.__dict__.items():
        if type(value) is types.MemberDescriptorType and names.is_dunder(attribute):
            raise names.PolicyError(names.attribute_message(attribute))  # by way of __slots__
    return adopt(cls)


def _check_bases(bases: tuple) -> None:
    for base in bases:
        if not _subclassable(base):
            name = base.__name__ if isinstance(base, type) else type(base).__name__
            raise names.PolicyError(f"a class cannot derive from `{name}` here")


# Patterns


class ClassPattern:
    """A class in a `case`, looked up and checked at the moment it is tried.

    Args:
        lookup: Gives the class.
        count: How many positional patterns it has; they read `__match_args__`.
        keywords: The attributes that its keyword patterns read.
    """

    __slots__ = ("_count", "_keywords", "_lookup")

    def __init__(self, lookup: Callable[[], Any], count: int, keywords: tuple[str, ...]):
        self._lookup, self._count, self._keywords = lookup, count, keywords

    @property
    def cls(self) -> Any:
        """The class; the interpreter goes on to read attributes of the subject by its names."""
        cls = self._lookup()
        read_names = self._keywords + (_positional(cls)[: self._count] if self._count else ())
        for name in read_names:
            # The subject may be any object (`register` makes virtual subclasses), so only names
            # that are free on every type are read this way.
            if name[:1] == "_" or name in names.FRAME_NAMES | names.FORMATTERS | pattern_denied():
                raise RefusedAttribute(
                    f"`case {getattr(cls, '__name__', 'X')}(…)` cannot read `{name}`: "
                    "capture the object with `as` and read the attribute from it"
                )
        return cls


def _positional(cls: Any) -> tuple[str, ...]:
    """`__match_args__` as it stands in a class's own dictionary, so that no descriptor answers."""
    for base in cls.__mro__ if isinstance(cls, type) else ():
        raw = base.__dict__.get("__match_args__")
        if raw is not None:
            if type(raw) is tuple and all(type(name) is str for name in raw):
                return raw
            raise names.PolicyError("`__match_args__` must be a tuple of strings")
    return ()


@functools.cache
def pattern_denied() -> frozenset[str]:
    """Every public name that is refused on some type."""
    return frozenset().union(*DENIED.values())


class Hold:
    """A value in the one form that the compiler takes in a pattern."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value


# Format strings: `formatting` puts its `format` and `format_map` here.

FORMAT_METHODS: dict[str, Callable[..., str]] = {}


def _safe_formatter(method: Any, name: str) -> Any:
    """The method, or a guarded one where it is the string type's own."""
    if type(method) is types.BuiltinMethodType and isinstance(method.__self__, str):
        return functools.partial(FORMAT_METHODS[name], exact(method.__self__))
    if type(method) is types.MethodDescriptorType and method.__objclass__ is str:
        return FORMAT_METHODS[name]
    return method


_DUNDERS: dict[str, Callable[[Any], Any]] = {
    "__class__": lambda obj: stand_in(type(obj)),
    "__dict__": own_dict,
    "__annotations__": _annotations,
    "__init__": _initialiser,
    "__members__": _members,
    "__setattr__": _attribute_method("__setattr__", write),
    "__delattr__": _attribute_method("__delattr__", write),
} | {name: _named(name) for name in ("__name__", "__doc__")}
