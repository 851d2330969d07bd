"""The built-in functions of model code.

Promises: everything of `builtins` that data analysis uses, under its own name; the few that read or
write attributes go through the guards; those that would run text, open files or wait for a person
say what to do instead.
"""

import builtins
from collections.abc import Callable
from typing import Any

from rlm_dspy.missing import Missing
from rlm_dspy.repl import annotations, classes, guards, names, output, patterns, rules, specials
from rlm_dspy.repl.names import (
    PolicyError,
    RefusedAttribute,
    RefusedFile,
    RefusedImport,
    exact,
)

# Each is plain data, a container, or a function of its arguments alone. `object`, `super` and the
# rest of the classes are the real ones: what must not be reached through them is refused by name.
_PLAIN = """
    abs aiter all anext any ascii bin bool bytearray bytes callable chr classmethod complex dict
    divmod enumerate filter float format frozenset hash hex id int isinstance issubclass iter len
    list map max memoryview min next object oct ord pow property range repr reversed round set slice
    sorted staticmethod str sum super tuple zip Ellipsis NotImplemented
"""
_NO_FILES = "`open` is not available: there are no files; the input is already in the variables"
_ABSENT = {
    "eval": "`eval` is not available: write the expression, or use ast.literal_eval / json.loads",
    "exec": "`exec` is not available: write the code itself",
    "compile": "`compile` is not available: write the code itself (patterns: re.compile)",
    "input": "`input` is not available: nobody is there to type; the input is in the variables",
    "help": "`help` is not available: use print(obj.__doc__)",
    "breakpoint": "`breakpoint` is not available: print what you want to see",
}
_MISSING = object()


def absent(message: str, name: str, error: type[PolicyError] = PolicyError) -> Callable[..., Any]:
    """A function that only says what to do instead."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise error(message)

    refuse.__name__ = refuse.__qualname__ = name
    return refuse


def getattr_(obj: Any, name: str, default: Any = _MISSING, /) -> Any:
    """`getattr`, under the guards."""
    try:
        return guards.read_any(obj, exact(name))
    except AttributeError:
        if default is _MISSING:
            raise
        return default


def hasattr_(obj: Any, name: str, /) -> bool:
    """`hasattr`, under the guards."""
    try:
        guards.read_any(obj, exact(name))
    except AttributeError:
        return False
    return True


def setattr_(obj: Any, name: str, value: Any, /) -> None:
    """`setattr`, under the guards."""
    plain = exact(name)
    setattr(guards.write(obj, plain), plain, value)


def delattr_(obj: Any, name: str, /) -> None:
    """`delattr`, under the guards."""
    plain = exact(name)
    delattr(guards.write(obj, plain), plain)


def print_(
    *values: Any,
    sep: str | None = " ",
    end: str | None = "\n",
    file: Any = None,
    flush: bool = False,
) -> None:
    """`print`, into the step's output."""
    stream = output.STDOUT if file is None else file
    if type(stream) is not output.Stream:
        print(*values, sep=sep, end=end, file=stream)
        return
    gap = " " if sep is None else sep
    for index, value in enumerate(values):
        if index:
            stream.write(gap)
        output.emit_value(value, stream=stream)
    stream.write("\n" if end is None else end)


def leave(code: Any = None) -> None:
    """`exit` and `quit`: end the step."""
    raise SystemExit(code)


def _exceptions() -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(builtins).items()
        if isinstance(value, type) and issubclass(value, BaseException)
    }


def base_builtins() -> dict[str, Any]:
    """The built-ins that no session changes, by name."""
    table: dict[str, Any] = {name: getattr(builtins, name) for name in _PLAIN.split()}
    table |= {name: absent(message, name) for name, message in _ABSENT.items()}
    guarded = {
        "getattr": getattr_, "hasattr": hasattr_, "setattr": setattr_, "delattr": delattr_,
        "open": absent(_NO_FILES, "open", RefusedFile), "type": classes.GuardedType,
        "exit": leave, "quit": leave,
        "true": True, "false": False, "null": None, "Missing": Missing, "__name__": "__main__",
        "__debug__": True, "__build_class__": classes.build_class,
    }  # fmt: skip
    machinery = {
        names.READ: guards.read, names.READ_SPECIAL: guards.read_special,
        names.WRITE: guards.write, names.PATTERN: patterns.ClassPattern, names.HOLD: patterns.Hold,
        names.SPECIAL: specials.special, names.ANNOTATED: annotations.annotated,
        names.UNKNOWN: NameError, names.KEYWORDS: guards.keywords,
        names.TYPE: type, names.FREE_READ: rules.FREE_READ,
        names.FREE_WRITE: rules.FREE_WRITE, names.FREE_PRIVATE: rules.FREE_PRIVATE,
    }  # fmt: skip
    return table | _exceptions() | guarded | machinery


classes.show(base_builtins().values())
for _function in (getattr_, hasattr_, setattr_, delattr_, print_):
    _function.__name__ = _function.__qualname__ = _function.__name__.rstrip("_")
rules.WRITABLE_TYPES[BaseException] = None
rules.OPEN_INSTANCES.add(output.Stream)
rules.OPEN_INSTANCES |= {PolicyError, RefusedAttribute, RefusedFile, RefusedImport}
