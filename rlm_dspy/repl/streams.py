"""Facades of `io` and `csv`: text as a stream, and tables in it; no file behind either.

Promises: they take host texts (see `texts`); the dialects and the limit that the library sets stay
as they are, since later steps rely on them.
"""

import csv
import io
from collections.abc import Callable, Iterable
from typing import Any

from rlm_dspy.repl import rules
from rlm_dspy.repl.modules import Facade, facade, listed
from rlm_dspy.repl.names import PolicyError, RefusedFile, exact
from rlm_dspy.repl.texts import as_text, is_host_text

# io


class StringIO(io.StringIO):
    """`io.StringIO`, taking a host text to start from."""

    def __init__(self, initial_value: Any = "", newline: str | None = "\n"):
        super().__init__(as_text(initial_value), newline)


def _io() -> Facade:
    return facade(
        "io",
        **listed(io, "BytesIO TextIOWrapper UnsupportedOperation SEEK_SET SEEK_CUR SEEK_END"),
        StringIO=StringIO,
        open=_no_files("io.open"),
    )


def _no_files(name: str) -> Callable[..., Any]:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise RefusedFile(f"`{name}` is not available: there are no files; use io.StringIO(text)")

    return refuse


def _lines(source: Any) -> Iterable[Any]:
    if is_host_text(source):
        return as_text(source).splitlines(keepends=True)
    return source if isinstance(source, io.StringIO) else map(as_text, source)


class DictReader(csv.DictReader):
    """`csv.DictReader`, over host texts as well."""

    def __init__(self, f: Any, *args: Any, **kwargs: Any):
        super().__init__(_lines(f), *args, **kwargs)


class Sniffer(csv.Sniffer):
    """`csv.Sniffer`, taking host texts."""

    def sniff(self, sample: Any, delimiters: str | None = None) -> Any:
        """Guesses the dialect of a sample."""
        return super().sniff(as_text(sample), delimiters)

    def has_header(self, sample: Any) -> bool:
        """Guesses whether the first row of a sample names the columns."""
        return super().has_header(as_text(sample))


# csv

# What the library put there.
_DIALECTS = frozenset(csv.list_dialects())
_FIELD_SIZE = csv.field_size_limit()


def _register_dialect(name: str, *args: Any, **kwargs: Any) -> None:
    """`csv.register_dialect`, for names that the library has not taken."""
    csv.register_dialect(_own_dialect(name), *args, **kwargs)


def _unregister_dialect(name: str) -> None:
    """`csv.unregister_dialect`, the same."""
    csv.unregister_dialect(_own_dialect(name))


def _own_dialect(name: Any) -> str:
    plain = exact(name)
    if plain in _DIALECTS:
        raise PolicyError(f"the dialect {plain!r} is the library's: take another name")
    return plain


def _field_size_limit(*limit: Any) -> int:
    """`csv.field_size_limit`, which can be raised only."""
    return csv.field_size_limit(*(max(int(value), _FIELD_SIZE) for value in limit))


def _csv() -> Facade:
    words = "QUOTE_MINIMAL QUOTE_ALL QUOTE_NONNUMERIC QUOTE_NONE QUOTE_STRINGS QUOTE_NOTNULL Error"
    words += " Dialect excel excel_tab unix_dialect writer DictWriter get_dialect list_dialects"
    return facade(
        "csv",
        **listed(csv, words),
        reader=lambda source, *args, **kwargs: csv.reader(_lines(source), *args, **kwargs),
        DictReader=DictReader,
        Sniffer=Sniffer,
        register_dialect=_register_dialect,
        unregister_dialect=_unregister_dialect,
        field_size_limit=_field_size_limit,
    )


STREAM_FACADES = {"io": _io(), "csv": _csv()}
rules.OPEN_CLASSES.update({StringIO, DictReader, Sniffer})
rules.WRITABLE_TYPES[csv.DictReader] = rules.WRITABLE_TYPES[csv.DictWriter] = frozenset(
    {"fieldnames", "restkey", "restval"}
)
