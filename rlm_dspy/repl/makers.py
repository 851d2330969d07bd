"""Facades of modules that make classes: `dataclasses`, `enum`, `typing`, `collections`.

What makes a class from names makes it, in the library, by `type()` with three arguments or from
source text that the names are pasted into. So the names are checked here, and the class is noted as
the user's own.
"""

import builtins
import collections
import collections.abc
import contextlib
import dataclasses
import enum
import keyword
import sys
import types
import typing
from collections.abc import Generator, Iterable
from typing import Any

from rlm_dspy.repl import classes, guards, names, rules, scope
from rlm_dspy.repl.modules import Facade, exported, facade, listed
from rlm_dspy.repl.names import PolicyError, exact


def _identifier(name: Any) -> str:
    plain = exact(name)
    if not plain.isidentifier() or keyword.iskeyword(plain) or names.is_reserved(plain):
        raise ValueError(f"{plain!r} cannot be a field name")
    return plain


# dataclasses


@contextlib.contextmanager
def _bare_main() -> Generator[None]:
    """The library looks a class's module up in `sys.modules`: it finds an almost empty one.

    Where annotations are texts, it looks there for what `ClassVar`, `InitVar` and `KW_ONLY` are
    called; functions that it makes keep the module's namespace, so these names go again.
    """
    before = sys.modules.get("__main__")
    bare = types.ModuleType("__main__")
    markers = _markers()
    bare.__dict__.update(markers)
    sys.modules["__main__"] = bare
    try:
        yield
    finally:
        for name in markers:
            bare.__dict__.pop(name, None)
        if before is not None:
            sys.modules["__main__"] = before


def _markers() -> dict[str, Any]:
    frame = scope.model_frame()
    real = {
        id(CLASS_FACADES["typing"]): typing,
        id(CLASS_FACADES["dataclasses"]): dataclasses,
        id(typing.ClassVar): typing.ClassVar,
        id(dataclasses.InitVar): dataclasses.InitVar,
        id(dataclasses.KW_ONLY): dataclasses.KW_ONLY,
    }
    variables = frame.f_globals if frame else {}
    return {
        name: real[id(value)]
        for name, value in variables.items()
        # What the library writes into source names built-ins, and would find these.
        if id(value) in real and name not in vars(builtins)
    }


def _dataclass(cls: Any = None, /, **options: Any) -> Any:
    """The library pastes field names into source; they come from annotations: they are checked."""
    if cls is None:
        return lambda found: _dataclass(found, **options)
    if not (isinstance(cls, type) and rules.is_user_class(cls)):
        raise PolicyError("dataclass takes a class of your own")
    _check_fields(cls)
    for name in cls.__dict__.get("__annotations__", {}):
        if _identifier(name) not in cls.__dict__:
            _refuse_inherited(name, [cls])
    # With `slots` the library makes the class again, which runs the user's `__init_subclass__`.
    with _bare_main(), rules.pending(cls.__name__):
        return rules.adopt(dataclasses.dataclass(cls, **options))


def _check_fields(*bases: type) -> None:
    """Checks the fields that a dataclass inherits: their names are pasted into source as well."""
    for base in bases:
        for field in getattr(base, "__dataclass_fields__", {}).values():
            _identifier(field.name)


def _refuse_inherited(name: str, classes_: Iterable[type]) -> None:
    """Refuses a field that would have what the library keeps under its name for a default."""
    for cls in classes_:
        for base in (*cls.__mro__, *type(cls).__mro__):
            if name in base.__dict__ and not rules.is_user_class(base):
                raise PolicyError(
                    f"`{name}` is an attribute of `{base.__name__}`: name it otherwise"
                )
            if name in base.__dict__:
                break


_DATACLASS_OPTIONS = frozenset(
    [
        "init",
        "repr",
        "eq",
        "order",
        "unsafe_hash",
        "frozen",
        "match_args",
        "kw_only",
        "slots",
        "weakref_slot",
    ]
)


def _make_dataclass(cls_name: str, fields: Any, *, bases: tuple = (), **options: Any) -> Any:
    """As the library's, without a `namespace`, through which any special method could be set."""
    bases = tuple(bases)  # what is checked is what is used, whatever iterating it says
    own = all(isinstance(base, type) and rules.is_user_class(base) for base in bases)
    if not options.keys() <= _DATACLASS_OPTIONS or not own:
        raise PolicyError("make_dataclass takes fields only: write a class with @dataclass")
    _check_fields(*bases)
    checked: list[Any] = []
    for field in fields:
        parts = (field, Any) if isinstance(field, str) else tuple(field)
        checked.append((_identifier(parts[0]), *parts[1:]))
        if len(parts) < 3:
            _refuse_inherited(checked[-1][0], bases)
    with _bare_main():
        cls = dataclasses.make_dataclass(_identifier(cls_name), checked, bases=bases, **options)
    classes.check_bases(cls.__bases__)
    cls.__module__ = "__main__"
    return rules.adopt(cls)


def _fields_of(obj: Any) -> dict[str, Any]:
    """`x.__dataclass_fields__`, by which encoders know a dataclass: a copy."""
    if rules.is_user_class(obj if isinstance(obj, type) else type(obj)):
        return dict(obj.__dataclass_fields__)
    raise rules.refused(obj, "__dataclass_fields__")


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
        if not args and not kwargs:
            return super().__call__(value)
        if rules.is_user_class(cls) and cls._member_map_:
            if kwargs or sys.version_info < (3, 12):
                raise TypeError(f"{cls.__name__} has members: it cannot be extended")
            return super().__call__(value, *args)  # looks up a value of several parts
        if len(args) + ("names" in kwargs) != 1:
            raise TypeError("an enum is made of a name and its members")
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
        return rules.adopt(made)


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


ENUM_TYPE = classes.shown_metaclass(GuardedEnumType, "EnumType")
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


# typing


class _MadeByTyping:
    """`NamedTuple` and `TypedDict`: bases of a class statement, and functions that make a class."""

    __slots__ = ("_real",)

    def __init__(self, real: Any):
        self._real = real

    def __call__(self, name: str, fields: Any = (), /, **kwargs: Any) -> Any:
        pairs = fields.items() if isinstance(fields, dict) else fields
        checked = [(_identifier(field), kind) for field, kind in pairs]
        made = self._real(
            _identifier(name), dict(checked) if kwargs or self._as_dict() else checked
        )
        made.__module__ = "__main__"
        return rules.adopt(made)

    def _as_dict(self) -> bool:
        return self._real is typing.TypedDict

    def __mro_entries__(self, bases: tuple) -> Any:
        return self._real.__mro_entries__(tuple(self._real if b is self else b for b in bases))

    def __repr__(self) -> str:
        return repr(self._real)


def _get_type_hints(obj: Any, *unused: Any, **also: Any) -> dict[str, Any]:
    """The library's evaluates annotation strings; this one gives them as they are."""
    bases = reversed(obj.__mro__) if isinstance(obj, type) else [obj]
    found: dict[str, Any] = {}
    for base in bases:
        if not isinstance(base, type) or rules.is_user_class(base):
            found |= guards.read_any(base, "__annotations__")
    return {name: types.NoneType if kind is None else kind for name, kind in found.items()}


def _runtime_checkable(cls: Any) -> Any:
    """The library's, for protocols of the user's: it sets an attribute."""
    if isinstance(cls, type) and rules.is_user_class(cls):
        return typing.runtime_checkable(cls)
    raise PolicyError("runtime_checkable takes a protocol of your own")


def _typing() -> Facade:
    left_out = """ForwardRef Type NamedTuple TypedDict final get_type_hints no_type_check
        runtime_checkable reveal_type no_type_check_decorator dataclass_transform overload
        get_overloads clear_overloads IO TextIO BinaryIO evaluate_forward_ref override"""
    return facade(
        "typing",
        **exported(typing, left_out),
        Type=classes.GuardedType,
        NamedTuple=_MadeByTyping(typing.NamedTuple),
        TypedDict=_MadeByTyping(typing.TypedDict),
        get_type_hints=_get_type_hints,
        runtime_checkable=_runtime_checkable,
        **{
            name: lambda value: value for name in ("final", "overload", "no_type_check", "override")
        },
    )


# collections


def _namedtuple(typename: str, field_names: Any, **options: Any) -> Any:
    """The library's, noting the class as the user's own."""
    if isinstance(field_names, str):
        field_names = exact(field_names).replace(",", " ").split()
    options["module"] = "__main__"
    return rules.adopt(
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


CLASS_FACADES = {
    "dataclasses": _dataclasses(),
    "enum": _enum(),
    "typing": _typing(),
    "collections": _collections(),
}
guards.READERS["__dataclass_fields__"] = _fields_of
classes.TYPING_BASES.add(_MadeByTyping)
# Generic, Protocol and their like may be derived from; the classes of aliases (proxies) may not.
rules.OPEN_CLASSES.update(
    value for value in vars(CLASS_FACADES["typing"]).values() if isinstance(value, type)
)
rules.RULES[typing.ParamSpec] = rules.Everything(but=("args", "kwargs"))
rules.WRITABLE_TYPES[collections.defaultdict] = frozenset({"default_factory"})
