"""Facades of modules some of whose functions read or write attributes of their arguments.

`functools`, `abc`, `types`, `contextlib`, `operator`: each name below that is not the library's own
says what the library's would do.
"""

import abc
import contextlib
import functools
import operator
import types
import typing
from collections.abc import Callable
from typing import Any

from rlm_dspy.repl import classes, guards, names, output, rules
from rlm_dspy.repl.modules import Facade, exported, facade, listed
from rlm_dspy.repl.names import PolicyError, exact


def _owned(value: Any, action: str) -> Any:
    """The value, if model code defined it: the library would write to it."""
    if rules.is_users(value):
        return value
    kinds = (property, classmethod, staticmethod, functools.cached_property, functools.partial)
    if isinstance(value, kinds):
        return value
    raise PolicyError(f"{action} takes a function, a class or an object of your own")


# functools


def _update_wrapper(wrapper: Any, wrapped: Any, *unused: Any, **also: Any) -> Any:
    """The library's copies any attribute to any object; this one, the usual ones to the user's."""
    if unused or also:
        raise PolicyError("update_wrapper and wraps copy the usual attributes only")
    if not (rules.is_users(wrapper) or type(wrapper) is functools.partial):
        raise PolicyError("wraps takes a function, a class or an object of your own")
    about = ["__name__", "__qualname__", "__doc__"]
    if not isinstance(wrapper, type):  # the library looks modules up by what a class says
        about.append("__module__")
    for name in about:
        value = getattr(wrapped, name, None)
        if type(value) is str:
            setattr(wrapper, name, value)
    # Not to a descriptor of the library: `cached_property` would take `attrname` for a key.
    if rules.is_user_function(wrapped) and rules.is_users(wrapper):
        vars(wrapper).update(wrapped.__dict__)
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

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the implementation for the first argument's type."""
        if not args:
            raise TypeError(f"{self.__name__} requires at least 1 positional argument")
        return self.dispatch(type(args[0]))(*args, **kwargs)

    def dispatch(self, cls: Any) -> Any:
        """Finds the implementation for a class."""
        if not issubclass(type(cls), type):
            raise TypeError(f"dispatch takes a class, not {rules.described(cls)}")
        try:
            return self._real.dispatch(cls)
        except RuntimeError as error:
            message = str(error)
        # What led to it holds the classes that were tried, among them the real `type`.
        raise RuntimeError(message)

    @property
    def registry(self) -> types.MappingProxyType[Any, Any]:
        """The implementations by their class: of a copy, since comparing it hands that out."""
        return types.MappingProxyType(dict(self._real.registry))

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
            method: Any = self._dispatcher.dispatch(type(args[0]))
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


# abc and types

ABC_META = classes.shown_metaclass(abc.ABCMeta, "ABCMeta")


def _abc() -> Facade:
    def abstractmethod(function: Any) -> Any:
        return abc.abstractmethod(_owned(function, "abstractmethod"))

    return facade(
        "abc",
        ABC=abc.ABC,
        ABCMeta=ABC_META,
        abstractmethod=abstractmethod,
        abstractproperty=lambda function: property(abstractmethod(function)),
        abstractclassmethod=lambda function: classmethod(abstractmethod(function)),
        abstractstaticmethod=lambda function: staticmethod(abstractmethod(function)),
    )


class SimpleNamespace:
    """`types.SimpleNamespace`, taking ordinary names only.

    The library's takes any: `__reduce_ex__` in an instance's dictionary is what `copy` obeys.
    """

    def __init__(self, mapping: Any = (), /, **kwargs: Any):
        if SimpleNamespace not in type(self).__mro__:
            raise TypeError("SimpleNamespace.__init__() needs a `SimpleNamespace`")
        for name, value in {**dict(mapping), **kwargs}.items():
            plain = exact(name)
            if names.is_dunder(plain):
                raise PolicyError(names.attribute_message(plain))
            self.__dict__[plain] = value

    def __repr__(self) -> str:
        return (
            f"namespace({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"
        )

    def __eq__(self, other: object) -> Any:
        if isinstance(other, SimpleNamespace):
            return self.__dict__ == other.__dict__
        return NotImplemented

    __hash__ = None


SimpleNamespace.__module__ = "types"


def _types() -> Facade:
    shown = {name: classes.shown(getattr(types, name)) for name in _SHOWN_TYPES.split()}
    words = "MappingProxyType GenericAlias UnionType NoneType EllipsisType NotImplementedType"
    return facade(
        "types", **listed(types, words), **shown, SimpleNamespace=SimpleNamespace,
        ModuleType=classes.stand_in(Facade),
    )  # fmt: skip


_SHOWN_TYPES = """FunctionType LambdaType GeneratorType CoroutineType AsyncGeneratorType MethodType
    BuiltinFunctionType BuiltinMethodType TracebackType"""


# contextlib


class RedirectStdout:
    """`contextlib.redirect_stdout`, for the step's output."""

    _stream = output.STDOUT

    def __init__(self, target: Any):
        self._target, self._before = target, []

    def __enter__(self) -> Any:
        self._before.append(self._stream.target)
        # The step's own output is where what is not redirected goes.
        self._stream.target = None if self._target is self._stream else self._target
        return self._target

    def __exit__(self, *exception: object) -> None:
        self._stream.target = self._before.pop()


class RedirectStderr(RedirectStdout):
    """`contextlib.redirect_stderr`, for the step's output."""

    _stream = output.STDERR


def _contextlib() -> Facade:
    return facade(
        "contextlib",
        **exported(contextlib, "redirect_stdout redirect_stderr chdir"),
        redirect_stdout=RedirectStdout,
        redirect_stderr=RedirectStderr,
    )


# operator


class AttrGetter:
    """`operator.attrgetter`, under the guards."""

    def __init__(self, *paths: str):
        self._paths = tuple(tuple(exact(path).split(".")) for path in paths)
        if not paths:
            raise TypeError("attrgetter expected at least 1 argument, got 0")

    def __call__(self, obj: Any, /) -> Any:
        """Reads the attributes of an object."""
        found = tuple(functools.reduce(guards.read_any, path, obj) for path in self._paths)
        return found if len(found) > 1 else found[0]


class MethodCaller:
    """`operator.methodcaller`, under the guards."""

    def __init__(self, name: str, /, *args: Any, **kwargs: Any):
        self._name, self._args, self._kwargs = exact(name), args, kwargs

    def __call__(self, obj: Any, /) -> Any:
        """Calls the method of an object."""
        return guards.read_any(obj, self._name)(*self._args, **self._kwargs)


def _operator() -> Facade:
    return facade(
        "operator",
        **exported(operator, "attrgetter methodcaller"),
        attrgetter=AttrGetter,
        methodcaller=MethodCaller,
    )


CRAFTED_FACADES = {
    "functools": _functools(),
    "abc": _abc(),
    "types": _types(),
    "contextlib": _contextlib(),
    "operator": _operator(),
}
rules.OPEN_CLASSES.add(SimpleNamespace)
# Not to derive from: a subclass would see the library's own dispatcher, which evaluates text.
rules.OPEN_INSTANCES.update({SingleDispatch, SingleDispatchMethod, RedirectStdout, RedirectStderr})
rules.WRITABLE_TYPES[SimpleNamespace] = None
