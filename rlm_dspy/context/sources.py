"""What a caller has, as documents on their way into a context (see `assembly`).

`source_of` takes a document in any of its usual forms. Nothing is mangled silently: a text (or a
title, a path, metadata) with lone surrogates, which UTF-8 cannot hold, gets U+FFFD in their place,
character for character, so that offsets stay right.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rlm_dspy.context.blocks import Counts, characters_in
from rlm_dspy.context.pieces import plain
from rlm_dspy.errors import ContextError
from rlm_dspy.shared import Stretch

# The names that a document's text, title and path go by in the field's own dicts and classes.
TEXT_NAMES = ("text", "content", "page_content", "body")
_TITLE_NAMES = ("title", "name")
_PATH_NAMES = ("path", "source")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Entry(NamedTuple):
    """Where a document is in a context, and what is known of it; plain data.

    Attributes:
        id: The caller's identifier, else the document's number from 0.
        title: Its title, if it has one.
        path: The file it came from, if any.
        opens: Where its part of the context begins: at its title line, if there is one.
        start: Where its text begins, in characters of the whole context.
        end: Where its text ends.
        metadata: Whatever else is known of it, as plain data.
    """

    id: Any
    title: str | None
    path: str | None
    opens: int
    start: int
    end: int
    metadata: dict[str, Any]


@dataclass(frozen=True)
class Source:
    """A document on its way into a context.

    Args:
        data: Its text, as valid UTF-8 or where that lies; a str's lone surrogates are replaced.
        title: Its title, if it has one.
        path: The file it came from, if any.
        id: An identifier; None: its number.
        metadata: Whatever else is known of it.
        chars: Its length in characters; None: to be counted.
        counts: What its blocks have; None: to be counted where it is needed.
    """

    data: bytes | str | Stretch
    title: str | None = None
    path: str | None = None
    id: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)
    chars: int | None = None
    counts: Counts | None = None

    @property
    def length(self) -> int:
        """Its length in characters."""
        if self.chars is not None:
            return self.chars
        assert not isinstance(self.data, Stretch)  # who leaves a text in its file has counted it
        return len(self.data) if isinstance(self.data, str) else characters_in(self.data)

    @property
    def is_blank(self) -> bool:
        """Whether it has nothing but white space; one that lies in a file has more."""
        return not isinstance(self.data, Stretch) and (not self.data or self.data.isspace())


def utf8(text: str) -> bytes:
    """A text as UTF-8, lone surrogates replaced."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text).encode()


def _clean(value: Any) -> str:
    """A value's text without lone surrogates."""
    return utf8(str(value)).decode()


def source_of(value: Any) -> Source:
    """A document from a str, a dict, a (title, text) pair or an object that has a `text`.

    Raises:
        ContextError: The value is none of these, or its text is not a str.
    """
    if isinstance(value, Source):
        return value
    if isinstance(value, tuple) and len(value) == 2:
        value = {"title": value[0], "text": value[1]}
    if not isinstance(value, Mapping):
        value = _attributes(value)
    rest = {key: item for key, item in value.items() if item is not None}
    text = plain(_first(rest, TEXT_NAMES))
    title, path = _first(rest, _TITLE_NAMES), _first(rest, _PATH_NAMES)
    if not isinstance(text, str):
        raise ContextError(
            f"A document with keys {sorted(map(str, value))} has no text (but "
            f"{type(text).__name__}): give it as a str, a (title, text) pair or a dict with "
            '"text" and, if it has one, "title".',
            document=value,
        )
    nested = rest.pop("metadata", None)
    metadata = {**nested, **rest} if isinstance(nested, Mapping) else rest
    return Source(
        data=text,
        title=None if title is None else _clean(title),
        path=None if path is None else _clean(path),
        id=_as_data(metadata.pop("id", None)),
        metadata={_clean(key): _as_data(item) for key, item in metadata.items()},
    )


def _attributes(value: Any) -> dict[str, Any]:
    """What is known of a text, or of an object that has one."""
    if isinstance(value, str):
        return {"text": value}
    names = (*TEXT_NAMES, *_TITLE_NAMES, *_PATH_NAMES, "id", "metadata")
    found = {name: getattr(value, name, None) for name in names}
    if not any(found[name] is not None for name in TEXT_NAMES):
        raise ContextError(
            f"A document of type {type(value).__name__} has no text: give it as a str, "
            'a (title, text) pair or a dict with "text" and, if it has one, "title".',
            document=value,
        )
    return {name: item for name, item in found.items() if item is not None}


def _first(values: dict[str, Any], names: tuple[str, ...]) -> Any:
    """Take the first of these names that has a value out of a dict."""
    for name in names:
        if values.get(name) is not None:
            return values.pop(name)
    return None


def _as_data(value: Any) -> Any:
    """A value as plain data, which can cross to another process; what is none becomes its text."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {_clean(key): _as_data(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_data(item) for item in value]
    return _clean(value)
