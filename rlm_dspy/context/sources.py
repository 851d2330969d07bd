"""From what a caller has to one text: documents on their way into a context.

`source_of` takes a document in any of its usual forms, `assembled` puts several into one text and
says where each one is. Nothing is mangled silently: a text with lone surrogates, which UTF-8 cannot
hold, gets U+FFFD in their place, character for character, so that offsets stay right.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, NamedTuple

from rlm_dspy.context.offsets import characters_in
from rlm_dspy.context.pieces import plain
from rlm_dspy.errors import ContextError
from rlm_dspy.settings import cache_dir
from rlm_dspy.shared import Growing, Joined, Shared, Stretch

# Bytes of a text up to which it is plain `bytes`: a shared one takes two descriptors.
IN_MEMORY_BYTES = 8 << 20
# Between two documents in the combined text; and before one that has a title.
SEPARATOR = "\n\n"
_TITLE_LINE = "===== {} =====\n"
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
        data: Its text as valid UTF-8, or where that lies.
        title: Its title, if it has one.
        path: The file it came from, if any.
        id: An identifier; None: its number.
        metadata: Whatever else is known of it.
        chars: Its length in characters; None: to be counted.
    """

    data: bytes | Stretch
    title: str | None = None
    path: str | None = None
    id: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)
    chars: int | None = None

    @property
    def length(self) -> int:
        """Its length in characters."""
        if self.chars is None:
            assert isinstance(self.data, bytes)  # who leaves a text in its file has counted it
            return characters_in(self.data)
        return self.chars

    @property
    def is_blank(self) -> bool:
        """Whether it has nothing but white space; one that lies in a file has more."""
        return isinstance(self.data, bytes) and (not self.data or self.data.isspace())


class Assembly:
    """Parts on their way into one text: small ones together in memory, large files where they are.

    Args:
        in_memory: Bytes up to which a text is this process's own alone; a longer one is in memory
            that it can share.
    """

    def __init__(self, in_memory: int = IN_MEMORY_BYTES):
        self._in_memory = in_memory
        self._small: list[bytes] = []
        self._size = 0
        self._copied: Growing | None = None
        # Where the parts are; None stands for what is copied.
        self._places: list[tuple[Shared | None, int, int]] = []

    def add(self, part: bytes | Stretch) -> None:
        """Put a part behind the others.

        Raises:
            OSError: There is no room for it.
        """
        if isinstance(part, Stretch):
            self._places.append(tuple(part))
            return
        if self._places and self._places[-1][0] is None:
            _, start, size = self._places.pop()
        else:
            start, size = self._size, 0
        self._places.append((None, start, size + len(part)))
        self._size += len(part)
        self._small.append(part)
        if self._copied is not None or self._size > self._in_memory:
            self._share()

    def _share(self) -> None:
        self._copied = self._copied or Growing(cache_dir)
        for part in self._small:
            self._copied.write(part)
        self._small.clear()

    def finish(self) -> bytes | Shared | Joined:
        """The whole text."""
        if self._copied is None and all(shared is None for shared, _, _ in self._places):
            return b"".join(self._small)
        if self._small:
            self._share()
        copied = (self._copied or Growing(cache_dir)).finish()
        stretches = [Stretch(shared or copied, *rest) for shared, *rest in self._places]
        (whole, start, size), *others = stretches
        alone = not others and start == 0 and size == whole.size
        return whole if alone else Joined(stretches)


def assembled(sources: Iterable[Source]) -> tuple[bytes | Shared | Joined, list[Entry]]:
    """The combined text of several documents, and where each one is in it.

    A single document is the whole text. Several are set apart by a blank line, and each one that
    has a title follows a line that shows it, so that a search finds the title; neither belongs to
    a document's own range.
    """
    whole, entries, at = Assembly(), [], 0
    coming = iter(sources)
    first = list(islice(coming, 2))
    for number, source in enumerate(chain(first, coming)):
        before = SEPARATOR if number else ""
        title = " ".join(source.title.split()) if source.title else None
        heading = _TITLE_LINE.format(title) if title and len(first) > 1 else ""
        opens = at + len(before)
        start = opens + len(heading)
        at = start + source.length
        name = number if source.id is None else source.id
        entries.append(Entry(name, title, source.path, opens, start, at, source.metadata))
        if before or heading:
            whole.add((before + heading).encode())
        whole.add(source.data)
    return whole.finish(), entries


def utf8(text: str) -> bytes:
    """A text as UTF-8, lone surrogates replaced."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text).encode()


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
        data=utf8(text),
        title=None if title is None else str(title),
        path=None if path is None else str(path),
        id=_as_data(metadata.pop("id", None)),
        metadata={str(key): _as_data(item) for key, item in metadata.items()},
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
        return {str(key): _as_data(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_data(item) for item in value]
    return str(value)
