"""What a reader is given and what it gives.

A reader is a function `read(blob, kind)` from a `Blob` (bytes with a name) to `Part`s (documents),
further `Blob`s (members, attachments) and `Skipped` (what it could not read, and why). It is lazy:
what is not asked for is not parsed. It raises `Unreadable` with the reason alone; whoever called it
knows the name.
"""

import io
import logging
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from posixpath import splitext
from typing import Any, BinaryIO, NamedTuple

from rlm_dspy.context.encodings import BinaryData, as_utf8
from rlm_dspy.context.readers.limits import Allowance, ReadLimits, Unreadable
from rlm_dspy.errors import RLMError

EXTRA = "pip install 'rlm-dspy-runtime[files]'"
# How much of a file its kind is decided by, bytes.
HEAD_BYTES = 1 << 14
_LONGEST_REASON = 200
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNPRINTED = logging.NullHandler()


class Skipped(NamedTuple):
    """What is not in the context.

    Attributes:
        name: The file, or what inside of it.
        reason: Why.
        failed: It could not be read, rather than was left out by a rule.
        lasting: Though it failed, another try would say the same.
    """

    name: str
    reason: str
    failed: bool = False
    lasting: bool = False


class Picture(NamedTuple):
    """An image that may hold text.

    Attributes:
        data: The image file's bytes.
        mime: Its type, such as "image/png".
    """

    data: bytes
    mime: str


@dataclass(frozen=True)
class Part:
    """One document, as a reader gives it.

    Args:
        title: Its name, with what tells it apart in its file: "report.pdf#page=3".
        data: Its text: whole; in pieces, each made when asked for; or the `Blob` of a file on disk
            whose own bytes are the text.
        place: Where it is, for a report.
        path: The file or URL it lies in.
        metadata: What else is known of it, as plain data.
        pictures: Gives the images that hold its text, where it has none of its own.
    """

    title: str
    data: "str | Iterable[str] | Blob"
    place: str
    path: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    pictures: Callable[[], Iterable[Picture]] | None = None


@dataclass(frozen=True)
class Blob:
    """Bytes with a name.

    Args:
        name: What it is called in titles: relative to the folder, or inside its archive.
        opener: Opens the bytes from their start.
        allowance: What reading it may use.
        path: The file or URL that it is, or lies in.
        file: The file on disk that it is.
        size: Its length in bytes, where that is known.
        metadata: What is known of it; every part of it has this too.
        depth: How many archives it lies in.
        inside: Where in its path it lies, from "/" on; "" where it is the path.
        named: A name whose extension tells its kind, where that of `name` does not.
    """

    name: str
    opener: Callable[[], BinaryIO]
    allowance: Allowance
    path: str | None = None
    file: Path | None = None
    size: int | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    depth: int = 0
    inside: str = ""
    named: str = ""

    @classmethod
    def of_file(cls, file: Path, name: str, limits: ReadLimits, **metadata: Any) -> "Blob":
        """A file on disk.

        Raises:
            OSError: It is not there.
        """
        size = file.stat().st_size
        allowance = Allowance(limits, size)
        path = printable(str(file))
        return cls(printable(name), lambda: file.open("rb"), allowance, path, file, size, metadata)

    @classmethod
    def of_bytes(
        cls, data: bytes, name: str, limits: ReadLimits, path: str | None = None, **metadata: Any
    ) -> "Blob":
        """Bytes that are no file."""
        allowance = Allowance(limits, len(data))
        return cls(
            name, lambda: io.BytesIO(data), allowance, path, size=len(data), metadata=metadata
        )

    @property
    def limits(self) -> ReadLimits:
        """The limits that hold for it."""
        return self.allowance.limits

    @property
    def place(self) -> str:
        """Where it is, for a report."""
        return (self.path or self.name) + self.inside

    @property
    def suffix(self) -> str:
        """The extension of its name, with the dot, in small letters."""
        return splitext(self.named or self.name)[1].lower()

    @cached_property
    def head(self) -> bytes:
        """Its first bytes."""
        with self.opener() as stream:
            return stream.read(HEAD_BYTES)

    def open(self) -> BinaryIO:
        """Its bytes, for a parser.

        Raises:
            Unreadable: They are too many.
        """
        if self.size is not None and self.size > self.limits.parsed_bytes:
            raise Unreadable(_too_large(self.size, self.limits.parsed_bytes))
        return self.opener()

    def read(self) -> bytes:
        """All its bytes.

        Raises:
            Unreadable: They are too many.
        """
        most = self.limits.parsed_bytes
        with self.open() as stream:
            data = stream.read(most + 1)
        if len(data) > most:
            raise Unreadable(_too_large(len(data), most))
        return data

    def text(self) -> tuple[str, dict[str, Any]]:
        """All of it decoded, and what is known of its encoding.

        Raises:
            Unreadable: It is too large.
            BinaryData: It is no text.
        """
        data, metadata = as_utf8(self.read())
        return data.decode(), metadata

    def part(
        self,
        data: "str | Iterable[str] | Blob",
        fragment: str = "",
        pictures: Callable[[], Iterable[Picture]] | None = None,
        /,
        **metadata: Any,
    ) -> Part:
        """A document of it.

        Args:
            data: The document's text.
            fragment: What tells the document apart, as in a URL: "page=3".
            pictures: Gives the images that hold its text, where `data` is "".
            **metadata: What is known of the document.
        """
        ending = printable(f"#{fragment}") if fragment else ""
        known = {key: printable(v) if isinstance(v, str) else v for key, v in metadata.items()}
        return Part(
            title=self.name + ending,
            data=data,
            place=self.place + ending,
            path=self.path,
            metadata={**self.metadata, **known},
            pictures=pictures,
        )

    def skipped(self, fragment: str, reason: str, *, failed: bool = True) -> Skipped:
        """A part of it that is not in the context."""
        return Skipped(f"{self.place}#{fragment}", reason, failed)

    def at(self, fragment: str, **metadata: Any) -> "Blob":
        """A place in it, as if it were a source of its own.

        Args:
            fragment: The place, as in a URL: "message=3".
            **metadata: What is known of what is there.
        """
        return replace(
            self,
            name=f"{self.name}#{fragment}",
            inside=f"{self.inside}#{fragment}",
            metadata={**self.metadata, **metadata},
        )

    def member(self, name: str, data: bytes, **metadata: Any) -> "Blob":
        """What lies inside of it, one archive deeper."""
        name = printable(name)
        # How the archive itself is packed says nothing of what is in it.
        about = {key: value for key, value in self.metadata.items() if key != "compressed"}
        return replace(
            self,
            name=f"{self.name}/{name}",
            opener=lambda: io.BytesIO(data),
            file=None,
            size=len(data),
            metadata={**about, **metadata},
            depth=self.depth + 1,
            named="",
            inside=f"{self.inside}/{name}",
        )


Reader = Callable[[Blob, str], Iterator[Part | Blob | Skipped]]


def needed(module: str, package: str) -> Any:
    """A module of the extra `files`.

    Args:
        module: What to import.
        package: The package it is in.

    Raises:
        Unreadable: It is not installed.
    """
    # What such a library warns of is reported here; without a handler Python would print it.
    logging.getLogger(module.partition(".")[0]).addHandler(_UNPRINTED)
    try:
        return import_module(module)
    except ImportError as error:
        raise Unreadable(f"reading it needs {package}: {EXTRA}") from error


@contextmanager
def parsing(kind: str) -> Generator[None]:
    """The boundary to parsers: on a broken file any of them may fail in any way.

    Args:
        kind: What the block parses.

    Raises:
        Unreadable: The block failed; what it raised as an error of this library passes.
    """
    try:
        yield
    except RLMError:
        raise
    except BinaryData as error:
        raise Unreadable(f"binary ({error})") from error
    except OSError as error:
        raise Unreadable(f"unreadable ({error.strerror or error})") from error
    except Exception as error:  # the boundary
        said = " ".join(str(error).split())[:_LONGEST_REASON]
        raise Unreadable(f"cannot be read as {kind} ({type(error).__name__}: {said})") from error


def printable(name: str) -> str:
    """A name without lone surrogates, which stand for bytes that are no text."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", name)


def _too_large(size: int, most: int) -> str:
    return f"is larger than {most:,} bytes ({size:,} or more)"
