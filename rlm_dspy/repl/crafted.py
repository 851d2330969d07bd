"""Facades of modules some of whose functions make classes, run text or write to their arguments.

`functools`, `dataclasses`, `enum`, `abc`, `typing`, `types`, `contextlib`, `operator`, `collections`:
each name below that is not the library's own says what the library's would do.
"""

import abc
import collections
import collections.abc
import contextlib
import dataclasses
import enum
import functools
import keyword
import operator
import sys
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

from rlm_dspy.repl import guards, names, output
from rlm_dspy.repl.modules import Facade, exported, facade, listed
from rlm_dspy.repl.names import PolicyError, exact


def _owned(value: Any, action: str) -> Any:
    """The value, if model code defined it: the library would write to it."""
    if guards.is_user_function(value) or (isinstance(value, type) and guards.is_user_class(value)):
        return value
    kinds = (property, classmethod, staticmethod, functools.cached_property, functools.partial)
    if isinstance(value, kinds):
        return value
    raise PolicyError(f"{action} takes a function or class of your own")


def _identifier(name: Any) -> str:
    plain = exact(name)
    if not plain.isidentifier() or keyword.iskeyword(plain) or names.is_reserved(plain):
        raise ValueError(f"{plain!r} cannot be a field name")
    return plain


# functools


def _update_wrapper(wrapper: Any, wrapped: Any, *unused: Any, **also: Any) -> Any:
    """The library's copies any attribute to any object; this one, the usual ones to the user's."""
    if unused or also:
        raise PolicyError("update_wrapper and wraps copy the usual attributes only")
    _owned(wrapper, "wraps")
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        value = getattr(wrapped, name, None)
        if type(value) is str:
            setattr(wrapper, name, value)
    if guards.is_user_function(wrapped):
        wrapper.__dict__.update(wrapped.__dict__)
    wrapper.__wrapped__ = wrapped
    return wrapper


def _wraps(wrapped: Any, *unused: Any, **also: Any) -> Callable[[Any], Any]:
    return lambda wrapper: _update_wrapper(wrapper, wrapped, *unused, **also)


class SingleDispatch:
    """`functools.singledispatch`; types are given, never evaluated from annotation strings."""

    def __init__(self, function: Callable[..., Any]):
        self._real = functools.singledispatch(function)
        self.__wrapped__ = function
        self.__name__ = getattr(function, "__name__", "function")
        self.__doc__ = getattr(function, "__doc__", None)
        self.dispatch = self._real.dispatch
        self.registry = self._real.registry

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._real(*args, **kwargs)

    def register(self, cls: Any, function: Any = None) -> Any:
        """Registers an implementation, for a type or by the first parameter's annotation."""
        if function is not None:
            return self._real.register(cls, function)
        if isinstance(cls, type) or typing.get_origin(cls) in (typing.Union, types.UnionType):
            return lambda found: self.register(cls, found)
        kind = next(iter(getattr(cls, "__annotations__", {}).values()), None)
        if not isinstance(kind, type):
            raise TypeError("name the type: @f.register(int)")
        return self._real.register(kind, cls)


class SingleDispatchMethod:
    """`functools.singledispatchmethod`, with `SingleDispatch`."""

    def __init__(self, function: Callable[..., Any]):
        self._dispatcher = SingleDispatch(function)
        self.register = self._dispatcher.register

    def __get__(self, obj: Any, cls: Any = None) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            method = self._dispatcher.dispatch(type(args[0]))
            return method.__get__(obj, cls)(*args, **kwargs)

        return call


def _functools() -> Facade:
    return facade(
        "functools",
        **listed(functools, "reduce partial partialmethod lru_cache cache cached_property"),
        **listed(functools, "cmp_to_key WRAPPER_ASSIGNMENTS WRAPPER_UPDATES Placeholder"),
        wraps=_wraps,
        update_wrapper=_update_wrapper,
        total_ordering=lambda cls: functools.total_ordering(_owned(cls, "total_ordering")),
        singledispatch=SingleDispatch,
        singledispatchmethod=SingleDispatchMethod,
    )


# dataclasses


@contextlib.contextmanager
def _bare_main() -> Iterator[None]:
    """The library looks a class's module up in `sys.modules`: it finds an empty one."""
    before = sys.modules.get("__main__")
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        if before is not None:
            sys.modules["__main__"] = before


def _dataclass(cls: Any = None, /, **options: Any) -> Any:
    """The library pastes field names into source: they come from annotations, so they are checked."""
    if cls is None:
        return lambda found: _dataclass(found, **options)
    if not (isinstance(cls, type) and guards.is_user_class(cls)):
        raise PolicyError("dataclass takes a class of your own")
    for name in cls.__dict__.get("__annotations__", {}):
        _identifier(name)
    with _bare_main():
        return guards.adopt(dataclasses.dataclass(cls, **options))


_DATACLASS_OPTIONS = frozenset(
    "init repr eq order unsafe_hash frozen match_args kw_only slots weakref_slot".split()
)


def _make_dataclass(cls_name: str, fields: Any, *, bases: tuple = (), **options: Any) -> Any:
    """As the library's, without a `namespace`, through which any special method could be set."""
    if not options.keys() <= _DATACLASS_OPTIONS or not all(map(guards.is_user_class, bases)):
        raise PolicyError("make_dataclass takes fields only: write a class with @dataclass")
    checked = []
    for field in fields:
        parts = (field, Any) if isinstance(field, str) else tuple(field)
        checked.append((_identifier(parts[0]), *parts[1:]))
    with _bare_main():
        cls = dataclasses.make_dataclass(_identifier(cls_name), checked, bases=bases, **options)
    cls.__module__ = "__main__"
    return guards.adopt(cls)


def _dataclasses() -> Facade:
    return facade(
        "dataclasses",
        **listed(dataclasses, "field Field fields asdict astuple replace is_dataclass"),
        **listed(dataclasses, "KW_ONLY InitVar MISSING FrozenInstanceError"),
        dataclass=_dataclass,
        make_dataclass=_make_dataclass,
    )


# enum


# `isinstance(IntEnum.X, Enum)` holds though the guarded classes derive from the library's only.
_FAMILY: dict[type, type] = {}


class GuardedEnumType(enum.EnumMeta):
    """The library's, whose call also makes enums from names: they are checked here."""

    def __instancecheck__(cls, value: Any) -> bool:
        return issubclass(type(value), _FAMILY.get(cls, cls))

    def __subclasscheck__(cls, kind: Any) -> bool:
        return type.__subclasscheck__(_FAMILY.get(cls, cls), kind)

    def __call__(cls, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Looks a member up, or makes an enum of checked names."""
        if guards.is_user_class(cls) and cls.__members__:
            return super().__call__(value, *args, **kwargs)
        if len(args) != 1 and "names" not in kwargs:
            return super().__call__(value, *args, **kwargs)
        members = kwargs.get("names", args[0] if args else ())
        if isinstance(members, str):
            members = exact(members).replace(",", " ").split()
        pairs = members.items() if isinstance(members, dict) else members
        checked: list[Any] = []
        for member in pairs:
            alone = isinstance(member, str)
            checked.append(_identifier(member) if alone else (_identifier(member[0]), member[1]))
        start = kwargs.get("start", 1)
        made = super().__call__(_identifier(value), checked, module="__main__", start=start)
        return guards.adopt(made)


class Enum(enum.Enum, metaclass=GuardedEnumType):
    """`enum.Enum`."""


class IntEnum(enum.IntEnum, metaclass=GuardedEnumType):
    """`enum.IntEnum`."""


class StrEnum(enum.StrEnum, metaclass=GuardedEnumType):
    """`enum.StrEnum`."""


class Flag(enum.Flag, metaclass=GuardedEnumType):
    """`enum.Flag`."""


class IntFlag(enum.IntFlag, metaclass=GuardedEnumType):
    """`enum.IntFlag`."""


ENUM_TYPE = guards.shown_metaclass(GuardedEnumType, "EnumType")
_ENUMS = (Enum, IntEnum, StrEnum, Flag, IntFlag)
_FAMILY.update({Enum: enum.Enum, Flag: enum.Flag})
for _kind in _ENUMS:
    _kind.__module__ = "enum"


def _enum() -> Facade:
    words = "auto unique verify member nonmember property CONTINUOUS NAMED_FLAGS UNIQUE STRICT"
    return facade(
        "enum",
        **listed(enum, f"{words} CONFORM EJECT KEEP FlagBoundary EnumCheck"),
        **{kind.__name__: kind for kind in _ENUMS},
        EnumMeta=ENUM_TYPE,
        EnumType=ENUM_TYPE,
    )


# abc, typing, types

ABC_META = guards.shown_metaclass(abc.ABCMeta, "ABCMeta")


def _abc() -> Facade:
    def abstractmethod(function: Any) -> Any:
        return abc.abstractmethod(_owned(function, "abstractmethod"))

    words = "ABC abstractproperty abstractclassmethod abstractstaticmethod"
    return facade("abc", **listed(abc, words), abstractmethod=abstractmethod, ABCMeta=ABC_META)


class _MadeByTyping:
    """`NamedTuple` and `TypedDict`: bases of a class statement, and functions that make a class."""

    __slots__ = ("_real",)

    def __init__(self, real: Any):
        self._real = real

    def __call__(self, name: str, fields: Any = (), /, **kwargs: Any) -> Any:
        pairs = fields.items() if isinstance(fields, dict) else fields
        checked = [(_identifier(field), kind) for field, kind in pairs]
        made = self._real(_identifier(name), dict(checked) if kwargs or self._as_dict() else checked)
        made.__module__ = "__main__"
        return guards.adopt(made)

    def _as_dict(self) -> bool:
        return self._real is typing.TypedDict

    def __mro_entries__(self, bases: tuple) -> Any:
        return self._real.__mro_entries__(tuple(self._real if b is self else b for b in bases))

    def __repr__(self) -> str:
        return repr(self._real)


def _get_type_hints(obj: Any, *unused: Any, **also: Any) -> dict[str, Any]:
    """The library's evaluates annotation strings; this one gives the annotations as they are."""
    return guards.read_any(obj, "__annotations__")


def _typing() -> Facade:
    left_out = """ForwardRef Type NamedTuple TypedDict final get_type_hints no_type_check reveal_type
        no_type_check_decorator dataclass_transform overload get_overloads clear_overloads IO TextIO
        BinaryIO evaluate_forward_ref override"""
    return facade(
        "typing",
        **exported(typing, left_out),
        Type=guards.GuardedType,
        NamedTuple=_MadeByTyping(typing.NamedTuple),
        TypedDict=_MadeByTyping(typing.TypedDict),
        get_type_hints=_get_type_hints,
        **{name: lambda value: value for name in ("final", "overload", "no_type_check", "override")},
    )


class SimpleNamespace:
    """`types.SimpleNamespace`, taking ordinary names only.

    The library's takes any: `__reduce_ex__` in an instance's dictionary is what `copy` obeys.
    """

    def __init__(self, mapping: Any = (), /, **kwargs: Any):
        for name, value in {**dict(mapping), **kwargs}.items():
            plain = exact(name)
            if names.is_dunder(plain):
                raise PolicyError(names.attribute_message(plain))
            self.__dict__[plain] = value

    def __repr__(self) -> str:
        return f"namespace({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"

    def __eq__(self, other: object) -> Any:
        if isinstance(other, SimpleNamespace):
            return self.__dict__ == other.__dict__
        return NotImplemented

    __hash__ = None  # ty: ignore[invalid-assignment]


SimpleNamespace.__module__ = "types"


def _types() -> Facade:
    shown = {name: guards.shown(getattr(types, name)) for name in _SHOWN_TYPES.split()}
    words = "MappingProxyType GenericAlias UnionType NoneType EllipsisType NotImplementedType"
    return facade(
        "types", **listed(types, words), **shown, SimpleNamespace=SimpleNamespace,
        ModuleType=guards.stand_in(Facade),
    )  # fmt: skip


_SHOWN_TYPES = """FunctionType LambdaType GeneratorType CoroutineType AsyncGeneratorType MethodType
    BuiltinFunctionType BuiltinMethodType TracebackType"""


# contextlib


class RedirectStdout:
    """`contextlib.redirect_stdout`, for the step's output."""

    def __init__(self, target: Any):
        self._target, self._before = target, []

    def __enter__(self) -> Any:
        self._before.append(output.redirect(self._target))
        return self._target

    def __exit__(self, *exception: object) -> None:
        output.redirect(self._before.pop())


def _contextlib() -> Facade:
    return facade(
        "contextlib",
        **exported(contextlib, "redirect_stdout redirect_stderr chdir"),
        redirect_stdout=RedirectStdout,
        redirect_stderr=contextlib.nullcontext,
    )


# operator and collections


class AttrGetter:
    """`operator.attrgetter`, under the guards."""

    def __init__(self, *paths: str):
        self._paths = tuple(tuple(exact(path).split(".")) for path in paths)
        if not paths:
            raise TypeError("attrgetter expected at least 1 argument, got 0")

    def __call__(self, obj: Any, /) -> Any:
        found = tuple(functools.reduce(guards.read_any, path, obj) for path in self._paths)
        return found if len(found) > 1 else found[0]


class MethodCaller:
    """`operator.methodcaller`, under the guards."""

    def __init__(self, name: str, /, *args: Any, **kwargs: Any):
        self._name, self._args, self._kwargs = exact(name), args, kwargs

    def __call__(self, obj: Any, /) -> Any:
        return guards.read_any(obj, self._name)(*self._args, **self._kwargs)


def _operator() -> Facade:
    return facade(
        "operator",
        **exported(operator, "attrgetter methodcaller"),
        attrgetter=AttrGetter,
        methodcaller=MethodCaller,
    )


def _namedtuple(typename: str, field_names: Any, **options: Any) -> Any:
    """The library's, noting the class as the user's own."""
    if isinstance(field_names, str):
        field_names = exact(field_names).replace(",", " ").split()
    options["module"] = "__main__"
    return guards.adopt(
        collections.namedtuple(exact(typename), [exact(name) for name in field_names], **options)
    )


def _collections() -> Facade:
    # Without UserString, whose `format` is `str.format` of another object.
    return facade(
        "collections",
        **exported(collections, "UserString namedtuple"),
        namedtuple=_namedtuple,
        abc=facade("collections.abc", **exported(collections.abc)),
    )


CRAFTED_FACADES = {
    "functools": _functools(),
    "dataclasses": _dataclasses(),
    "enum": _enum(),
    "abc": _abc(),
    "typing": _typing(),
    "types": _types(),
    "contextlib": _contextlib(),
    "operator": _operator(),
    "collections": _collections(),
}
guards.OPEN_CLASSES.update({SingleDispatch, SingleDispatchMethod, SimpleNamespace, RedirectStdout})
guards.TYPING_BASES.add(_MadeByTyping)
guards.WRITABLE_TYPES[SimpleNamespace] = None
guards.WRITABLE_TYPES[collections.defaultdict] = frozenset({"default_factory"})
