"""Facades of modules that take text: `re`, `json`, `ast`, and `pprint`; see also `streams`.

Promises: wherever they take a `str`, they take an object that behaves as a text (`__rlm_text__`
gives its `str`) as well. A host text is converted whole; work on slices where it is long.
"""

import ast
import json
import pprint
import re
from collections.abc import Callable
from types import GenericAlias, MappingProxyType
from typing import Any

from rlm_dspy.repl import caches, output, rules
from rlm_dspy.repl.modules import Facade, facade, listed
from rlm_dspy.repl.names import exact


def is_host_text(value: object) -> bool:
    """Whether a value is an object of this package that behaves as a text."""
    kind = type(value)
    return kind.__module__.startswith("rlm_dspy.") and hasattr(kind, "__rlm_text__")


def as_text(value: Any) -> Any:
    """The `str` of a host text; any other value unchanged."""
    return value if type(value) is str or not is_host_text(value) else value.__rlm_text__()


# re


def _on_text(method: Callable[..., Any], place: int) -> Callable[..., Any]:
    """A pattern's method whose text argument may be a host text."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if len(args) > place and type(args[place]) is not str:
            args = (*args[:place], as_text(args[place]), *args[place + 1 :])
        elif "string" in kwargs:
            kwargs["string"] = as_text(kwargs["string"])
        if "repl" in kwargs:
            kwargs["repl"] = caches.plain(kwargs["repl"])
        # What stands before the text is a pattern, or what replaces it.
        return method(*map(caches.plain, args[:place]), *args[place:], **kwargs)

    return call


_TEXT_PLACES = {
    name: 0 for name in ["search", "match", "fullmatch", "split", "findall", "finditer"]
}
_TEXT_PLACES |= {"sub": 1, "subn": 1}


class Pattern:
    """`re.Pattern`, taking host texts."""

    __slots__ = ("_pattern", *_TEXT_PLACES)

    def __init__(self, pattern: re.Pattern):
        if type(pattern) is not re.Pattern:
            raise TypeError("cannot create 're.Pattern' instances")
        self._pattern = pattern
        for name, place in _TEXT_PLACES.items():
            setattr(self, name, _on_text(getattr(pattern, name), place))

    pattern = property(lambda self: self._pattern.pattern)
    flags = property(lambda self: self._pattern.flags)
    groups = property(lambda self: self._pattern.groups)
    groupindex = property(lambda self: MappingProxyType(dict(self._pattern.groupindex)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self._pattern == other._pattern

    def __hash__(self) -> int:
        return hash(self._pattern)

    def __repr__(self) -> str:
        return repr(self._pattern)

    def __copy__(self) -> "Pattern":
        return self

    def __deepcopy__(self, memo: object) -> "Pattern":
        return self

    __class_getitem__ = classmethod(GenericAlias)


def _bare(pattern: Any) -> Any:
    return pattern._pattern if type(pattern) is Pattern else as_text(pattern)


def _compile(pattern: Any, flags: int = 0) -> Pattern:
    return (
        pattern
        if type(pattern) is Pattern and not flags
        else Pattern(re.compile(_bare(pattern), flags))
    )


def _function(name: str, place: int) -> Callable[..., Any]:
    real = getattr(re, name)
    on_text = _on_text(real, place + 1)

    def call(pattern: Any, *args: Any, **kwargs: Any) -> Any:
        return on_text(_bare(pattern), *args, **kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = real.__doc__
    return call


# The names that take a pattern and a text; the text stands after the pattern.
_RE_FUNCTIONS = {name: _function(name, place) for name, place in _TEXT_PLACES.items()}
# `Pattern` stands for the library's, so that `isinstance(p, re.Pattern)` holds.
Pattern.__module__ = "re"


def _re() -> Facade:
    flags = "A ASCII DEBUG I IGNORECASE L LOCALE M MULTILINE NOFLAG S DOTALL U UNICODE X VERBOSE"
    return facade(
        "re",
        **listed(re, f"{flags} error PatternError purge Match"),
        **_RE_FUNCTIONS,
        compile=_compile,
        escape=lambda pattern: re.escape(as_text(pattern)),
        Pattern=Pattern,
    )


# json


def _host_default(default: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if is_host_text(value):
            return value.__rlm_text__()
        if default is None:
            raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
        return default(value)

    return convert


def _dumps(obj: Any, **options: Any) -> str:
    if options.get("cls") is None:
        options["default"] = _host_default(options.get("default"))
    return json.dumps(obj, **options)


def _dump(obj: Any, fp: Any, **options: Any) -> None:
    fp.write(_dumps(obj, **options))


def _loads(s: Any, **options: Any) -> Any:
    return json.loads(as_text(s), **options)


def _load(fp: Any, **options: Any) -> Any:
    return _loads(fp.read(), **options)


class JSONDecoder(json.JSONDecoder):
    """`json.JSONDecoder`, taking host texts."""

    def decode(self, s: Any, *args: Any) -> Any:  # ty: ignore[incompatible-method-override]
        """Decodes a whole document."""
        return super().decode(as_text(s), *args)

    def raw_decode(self, s: Any, idx: int = 0) -> Any:
        """Decodes a document at a place; gives it and where it ends."""
        return super().raw_decode(as_text(s), idx)


def _json() -> Facade:
    return facade(
        "json",
        **listed(json, "JSONEncoder JSONDecodeError"),
        JSONDecoder=JSONDecoder,
        decoder=facade("json.decoder", **listed(json, "JSONDecodeError"), JSONDecoder=JSONDecoder),
        dumps=_dumps,
        dump=_dump,
        loads=_loads,
        load=_load,
    )


# ast and pprint


def _literal_eval(text: Any) -> Any:
    plain = as_text(text)
    if not isinstance(plain, str):
        raise ValueError("literal_eval takes a string")
    return ast.literal_eval(exact(plain))


def _pprint(obj: Any, stream: Any = None, *args: Any, **kwargs: Any) -> None:
    (output.STDOUT if stream is None else stream).write(pprint.pformat(obj, *args, **kwargs) + "\n")


def _pp(obj: Any, *args: Any, sort_dicts: bool = False, **kwargs: Any) -> None:
    _pprint(obj, *args, sort_dicts=sort_dicts, **kwargs)


class PrettyPrinter:
    """`pprint.PrettyPrinter`, printing into the step's output."""

    def __init__(self, *args: Any, stream: Any = None, **kwargs: Any):
        self._args, self._kwargs, self._stream = args, kwargs, stream

    def pformat(self, obj: Any) -> str:
        """The text that `pprint` prints."""
        return pprint.pformat(obj, *self._args, **self._kwargs)

    def pprint(self, obj: Any) -> None:
        """Prints an object."""
        _pprint(obj, self._stream, *self._args, **self._kwargs)


def _pprint_module() -> Facade:
    return facade(
        "pprint",
        **listed(pprint, "pformat isreadable isrecursive saferepr"),
        pprint=_pprint,
        pp=_pp,
        PrettyPrinter=PrettyPrinter,
    )


TEXT_FACADES = {
    "re": _re(),
    "json": _json(),
    "ast": facade("ast", literal_eval=_literal_eval),
    "pprint": _pprint_module(),
}
rules.OPEN_CLASSES.update({JSONDecoder, PrettyPrinter})
