"""Reading sources into documents, as UTF-8 with what is known of them.

What the caller names must be there, or a `ContextError` says what is wrong with it. What cannot be
read, inside of a file too, is left out and named, unless the caller is strict or nothing is left.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from rlm_dspy.context.encodings import as_utf8
from rlm_dspy.context.finding import found
from rlm_dspy.context.in_place import in_place
from rlm_dspy.context.read_options import ReadOptions
from rlm_dspy.context.readers.base import Blob, Part, Skipped, parsing, printable
from rlm_dspy.context.readers.limits import Unreadable
from rlm_dspy.context.reading import parts
from rlm_dspy.context.sources import Source, utf8
from rlm_dspy.errors import ContextError
from rlm_dspy.settings import cache_dir
from rlm_dspy.shared import Growing, Stretch

_STDIN = "standard input"
# A text that comes in pieces is gathered up to this size, and put into memory of its own beyond.
_GATHERED_BYTES = 8 << 20
_REASONS_SHOWN = 3


def read_paths(
    paths: Iterable[str | Path], options: ReadOptions | None = None
) -> tuple[list[Source], list[tuple[str, str]]]:
    """The documents of files, folders and URLs, in this order, and what was left out of them.

    Args:
        paths: Files and folders; a str may be a URL.
        options: What is read, and how.

    Raises:
        ContextError: A path is not there, there is no path, or nothing could be read; with
            `strict`, also where something could not be.
    """
    paths = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if not paths:
        raise ContextError("A context needs at least one path, and none was given.")
    options = options or ReadOptions()
    sources, skipped = _read(found(paths, options), options)
    if not sources:
        raise _nothing(", ".join(map(str, paths)), skipped)
    return sources, _reported(skipped)


def read_stdin(
    options: ReadOptions | None = None, stream: BinaryIO | None = None
) -> tuple[list[Source], list[tuple[str, str]]]:
    """The documents in what is piped into this program, and what was left out of them.

    Args:
        options: How it is read.
        stream: What to read; None: standard input.

    Raises:
        ContextError: Nothing is piped in, or it cannot be read.
    """
    stream = sys.stdin.buffer if stream is None else stream
    if stream.isatty():
        raise ContextError("Nothing is piped into standard input: pipe text in, or name a file.")
    options = options or ReadOptions()
    blob = Blob.of_bytes(stream.read(), _STDIN, options.limits)
    sources, skipped = _read([blob], options)
    if not sources:
        raise _nothing(_STDIN, skipped)
    return sources, _reported(skipped)


def _reported(skipped: list[Skipped]) -> list[tuple[str, str]]:
    return [(printable(each.name), printable(each.reason)) for each in skipped]


def _read(
    blobs: Iterable[Blob | Skipped], options: ReadOptions
) -> tuple[list[Source], list[Skipped]]:
    sources: list[Source] = []
    skipped: list[Skipped] = []
    for each in _documents(blobs, options):
        if isinstance(each, Source):
            sources.append(each)
            continue
        if each.failed and options.strict:
            raise ContextError(
                f"{each.name}: {each.reason}. Leave it out, or read without strict=True.",
                path=each.name,
                reason=each.reason,
            )
        skipped.append(each)
    return sources, skipped


def _documents(blobs: Iterable[Blob | Skipped], options: ReadOptions) -> Iterator[Source | Skipped]:
    for blob in blobs:
        if isinstance(blob, Skipped):
            yield blob
            continue
        for part in parts(blob, options):
            yield part if isinstance(part, Skipped) else _source_of(part)


def _source_of(part: Part) -> Source | Skipped:
    try:
        with parsing("text"):
            source = _filled(part)
    except Unreadable as error:
        return Skipped(part.place, error.message, failed=True)
    return Skipped(part.place, "empty") if source.is_blank else source


def _filled(part: Part) -> Source:
    title = None if part.title == _STDIN else part.title
    if isinstance(part.data, str):
        return Source(utf8(part.data), title, part.path, metadata=part.metadata)
    if not isinstance(part.data, Blob):
        data, chars = _gathered(part.data)
        return Source(data, title, part.path, metadata=part.metadata, chars=chars)
    source = in_place(part.data.file) if part.data.file is not None else None
    if source is None:
        with part.data.opener() as stream:
            data, metadata = as_utf8(stream.read())
        source = Source(data, metadata=metadata)
    metadata = {**part.metadata, **source.metadata}
    return Source(source.data, title, part.path, metadata=metadata, chars=source.chars)


def _gathered(pieces: Iterable[str]) -> tuple[bytes | Stretch, int]:
    """A text that comes in pieces, and its length in characters."""
    gathered: list[bytes] = []
    growing: Growing | None = None
    chars = size = 0
    try:
        for piece in pieces:
            chars += len(piece)
            gathered.append(utf8(piece))
            size += len(gathered[-1])
            if size > _GATHERED_BYTES:
                growing = growing or Growing(cache_dir)
                for each in gathered:
                    growing.write(each)
                gathered, size = [], 0
        if growing is None:
            return b"".join(gathered), chars
        for each in gathered:
            growing.write(each)
        whole = growing.finish()
        return Stretch(whole, 0, whole.size), chars
    finally:
        if growing is not None:
            growing.drop()


def _nothing(named: str, skipped: list[Skipped]) -> ContextError:
    """The error where nothing could be read."""
    failed = [each for each in skipped if each.failed] or skipped
    reasons = "; ".join(
        each.reason if each.name == named else f"{each.name}: {each.reason}"
        for each in failed[:_REASONS_SHOWN]
    )
    more = f" and {len(failed) - _REASONS_SHOWN:,} more" if len(failed) > _REASONS_SHOWN else ""
    return ContextError(
        f"{named}: holds nothing that can be read ({reasons or 'no file is chosen'}{more}). "
        "Name other files or folders, or change what is chosen in them.",
        path=named,
        skipped=skipped,
    )
