"""What paths lead to: files, the files under folders, and URLs.

What the caller names must be there, or it is an error; what is merely found and cannot be read is
named and the rest goes on. The files attached to a bibliography come behind it, under its keys.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from rlm_dspy.context.fetching import fetched, is_url
from rlm_dspy.context.ignoring import matches
from rlm_dspy.context.kinds import kind_of
from rlm_dspy.context.read_options import ReadOptions
from rlm_dspy.context.readers.base import Blob, Skipped, parsing
from rlm_dspy.context.readers.bibliography import attached, entries_of
from rlm_dspy.context.readers.limits import Unreadable
from rlm_dspy.context.selection import file_or_skipped, files_under, is_chosen
from rlm_dspy.errors import ContextError
from rlm_dspy.settings import settings

_BIBLIOGRAPHIES = {".bib", ".json", ".csljson"}


def found(paths: Iterable[str | Path], options: ReadOptions) -> Iterator[Blob | Skipped]:
    """The sources that paths lead to, in their order.

    Args:
        paths: Files, folders and, as str, URLs.
        options: What is read.

    Raises:
        ContextError: One of them is not there, or is a URL and none may be fetched.
    """
    yield from _with_attached(_found(paths, options), options)


def _found(paths: Iterable[str | Path], options: ReadOptions) -> Iterator[Blob | Skipped]:
    for path in paths:
        if is_url(path):
            yield _page(str(path), options)
        elif os.path.isdir(path):
            yield from files_under(Path(path), options)
        else:
            yield from _named(path, options)


def _page(url: str, options: ReadOptions) -> Blob:
    if not options.urls:
        raise ContextError(
            f"{url}: is a URL, and nothing is fetched unless it is asked for: give "
            "ReadOptions(urls=True), or --urls at the command line.",
            path=url,
        )
    if settings().rlm_local_only:
        raise ContextError(
            f"{url}: is a URL, and RLM_LOCAL_ONLY keeps this program from asking another machine.",
            path=url,
        )
    return fetched(url, options.limits)


def _named(named: str | Path, options: ReadOptions) -> Iterator[Blob | Skipped]:
    """A file that the caller named."""
    path = Path(named)
    if not str(named):
        raise ContextError('"" is not a path. Name a file or a folder ("." for this one).', path="")
    try:
        # A pipe is opened once: who waits to write into it would write to nobody.
        if not stat.S_ISFIFO(os.stat(path).st_mode):
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except FileNotFoundError as error:
        raise ContextError(
            f"{path}: there is no such file or folder. Check the path; "
            "text itself goes in as a str or through Context.from_text.",
            path=str(path),
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ContextError(
            f"{path}: cannot be read ({reason}). Check the path and its permissions.",
            path=str(path),
        ) from error
    if is_chosen(path.name, options):
        yield file_or_skipped(path, path.name, options) if path.is_file() else _piped(path, options)


def _piped(path: Path, options: ReadOptions) -> Blob:
    """What a pipe gives, which can be read once."""
    most = options.limits.parsed_bytes
    with path.open("rb") as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise ContextError(f"{path}: gives more than {most:,} bytes.", path=str(path))
    return Blob.of_bytes(data, path.name, options.limits, str(path))


def _with_attached(
    blobs: Iterator[Blob | Skipped], options: ReadOptions
) -> Iterator[Blob | Skipped]:
    """The same sources, what is attached to a bibliography behind it and under its keys."""
    sources = list(blobs)
    attachments: dict[Path, Blob | Skipped] = {}
    behind: dict[int, list[Blob | Skipped]] = {}
    for number, blob in enumerate(sources):
        behind[number] = []
        for file, each in _attachments(blob, options):
            if file is None or attachments.setdefault(file.resolve(), each) is each:
                behind[number].append(each)
    for number, blob in enumerate(sources):
        file = blob.file if attachments and isinstance(blob, Blob) else None
        if file is None or file.resolve() not in attachments:
            yield blob
        yield from behind[number]


def _attachments(
    blob: Blob | Skipped, options: ReadOptions
) -> Iterator[tuple[Path | None, Blob | Skipped]]:
    """The files attached to the entries of a source, and what is wrong with the rest."""
    if isinstance(blob, Skipped) or blob.file is None or blob.suffix not in _BIBLIOGRAPHIES:
        return
    try:
        with parsing("a bibliography"):
            kind = kind_of(replace(blob))  # a copy, so that its first bytes are not kept
            if kind not in ("bibtex", "csl"):
                return
            entries, _ = entries_of(blob, kind)
    except Unreadable:
        return  # reading it says why
    folder = blob.file.parent
    at = blob.name.rpartition("/")[0]
    for entry in entries:
        for file in attached(entry, folder):
            if isinstance(file, str):
                yield None, blob.skipped(f"key={entry.key}", file)
                continue
            name = "/".join(filter(None, (at, file.relative_to(folder).as_posix())))
            if matches(name, options.exclude):
                continue
            source = file_or_skipped(file, f"[@{entry.key}] {name}", options)
            if isinstance(source, Blob):
                source = replace(source, metadata={"citation_key": entry.key})
            yield file, source
