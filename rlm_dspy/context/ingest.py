"""Reading sources into documents, as UTF-8 with what is known of them.

What the caller names must be there, or a `ContextError` says what is wrong with it. What cannot be
read, inside of a file too, is left out and named, unless the caller is strict or nothing is left.
Documents are read one by one, as they are asked for; what was read once comes from `conversions`.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from rlm_dspy.context.conversions import Conversions
from rlm_dspy.context.encodings import as_utf8, decoded
from rlm_dspy.context.finding import found
from rlm_dspy.context.gathering import gathered
from rlm_dspy.context.in_place import IN_PLACE_BYTES, in_place, staying
from rlm_dspy.context.progress import Progress
from rlm_dspy.context.read_options import ReadOptions
from rlm_dspy.context.readers.base import HEAD_BYTES, Blob, Part, Skipped, parsing, printable
from rlm_dspy.context.readers.limits import Unreadable
from rlm_dspy.context.reading import parts
from rlm_dspy.context.sources import Source, utf8
from rlm_dspy.errors import ContextError
from rlm_dspy.shared import Stretch

_STDIN = "standard input"
_REASONS_SHOWN = 3


class Reading:
    """Documents that are read as they are taken, once.

    Args:
        blobs: The sources, and what was left out before.
        options: How they are read.
        named: What the caller named, for an error.

    Attributes:
        skipped: What was left out, as (path, reason); whole once all documents were taken.
    """

    def __init__(self, blobs: Iterable[Blob | Skipped], options: ReadOptions, named: str):
        self.skipped: list[tuple[str, str]] = []
        self._blobs = list(blobs)
        self._options = options
        self._named = named
        self._staying = staying(self._blobs)
        self._progress = Progress(self._blobs, options.progress)

    def __iter__(self) -> Iterator[Source]:
        """The documents, in order.

        Raises:
            ContextError: There is none; with `strict`, also where something could not be read.
        """
        skipped: list[Skipped] = []
        empty = True
        for each in self._read():
            if isinstance(each, Source):
                empty = False
                yield each
                continue
            if each.failed and self._options.strict:
                raise ContextError(
                    f"{each.name}: {each.reason}. Leave it out, or read without strict=True.",
                    path=each.name,
                    reason=each.reason,
                )
            skipped.append(each)
            self.skipped.append((printable(each.name), printable(each.reason)))
        if empty:
            raise _nothing(self._named, skipped)

    def _read(self) -> Iterator[Source | Skipped]:
        with Conversions(self._blobs, self._options, self._staying) as conversions:
            for each in self._blobs:
                if isinstance(each, Skipped):
                    yield each
                    continue
                blob = replace(each)  # a copy, so that its first bytes are not kept
                self._progress.begin(blob)
                yield from conversions.of(blob, self._documents)
                self._progress.end(blob)

    def _documents(self, blob: Blob) -> Iterator[Source | Skipped]:
        for part in parts(blob, self._options):
            yield part if isinstance(part, Skipped) else self._source_of(part)

    def _source_of(self, part: Part) -> Source | Skipped:
        try:
            with parsing("text"):
                source = self._filled(part)
        except Unreadable as error:
            return Skipped(part.place, error.message, failed=True)
        return Skipped(part.place, "empty") if source.is_blank else source

    def _filled(self, part: Part) -> Source:
        title = None if part.title == _STDIN else part.title
        if isinstance(part.data, str):
            return Source(utf8(part.data), title, part.path, metadata=part.metadata)
        if not isinstance(part.data, Blob):
            data, chars = _whole(part.data)
            return Source(data, title, part.path, metadata=part.metadata, chars=chars)
        file, source = part.data.file, None
        if file is not None and file in self._staying:
            source = in_place(file, self._progress.within)
        if source is None:
            source = _converted(part.data)
        metadata = {**part.metadata, **source.metadata}
        return Source(
            source.data,
            title,
            part.path,
            metadata=metadata,
            chars=source.chars,
            counts=source.counts,
        )


def read_paths(paths: Iterable[str | Path], options: ReadOptions | None = None) -> Reading:
    """The documents of files, folders and URLs, in this order.

    Args:
        paths: Files and folders; a str may be a URL.
        options: What is read, and how.

    Raises:
        ContextError: A path is not there, or there is no path.
    """
    paths = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if not paths:
        raise ContextError("A context needs at least one path, and none was given.")
    options = options or ReadOptions()
    return Reading(found(paths, options), options, ", ".join(map(str, paths)))


def read_stdin(options: ReadOptions | None = None, stream: BinaryIO | None = None) -> Reading:
    """The documents in what is piped into this program.

    Args:
        options: How it is read.
        stream: What to read; None: standard input.

    Raises:
        ContextError: Nothing is piped in.
    """
    stream = sys.stdin.buffer if stream is None else stream
    if stream.isatty():
        raise ContextError("Nothing is piped into standard input: pipe text in, or name a file.")
    options = options or ReadOptions()
    return Reading([Blob.of_bytes(stream.read(), _STDIN, options.limits)], options, _STDIN)


def _converted(blob: Blob) -> Source:
    """A text in whatever encoding, as UTF-8."""
    if (blob.size or 0) > IN_PLACE_BYTES:
        pieces, metadata = decoded(blob.opener)
        data, chars = _whole(pieces)
        return Source(data, metadata=metadata, chars=chars)
    data = blob.head
    if len(data) == HEAD_BYTES:
        with blob.opener() as stream:
            data = stream.read()
    data, metadata = as_utf8(data)
    return Source(data, metadata=metadata)


def _whole(pieces: Iterable[str]) -> tuple[bytes | Stretch, int]:
    """A text that comes in pieces, and its length in characters."""
    chars = 0

    def counted() -> Iterator[bytes]:
        nonlocal chars
        for piece in pieces:
            chars += len(piece)
            yield utf8(piece)

    whole = gathered(counted())
    return (whole if isinstance(whole, bytes) else Stretch(whole, 0, whole.size)), chars


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
