"""Reading sources: files, folders and standard input, as UTF-8 with what is known of them.

One reader a kind of file, in `READERS`; all kinds so far are text. What the caller names must be
readable, or a `ContextError` says why not; what is found under a folder and cannot be read is left
out and named. Hidden files, and links that lead out of the folder, are not followed.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from rlm_dspy.context.encodings import BinaryData, as_utf8
from rlm_dspy.context.in_place import in_place
from rlm_dspy.context.sources import Source
from rlm_dspy.errors import ContextError

Skipped = tuple[str, str]
Reader = Callable[[bytes], Source]


def _read_text(raw: bytes) -> Source:
    """A text in any encoding, as one document."""
    text, metadata = as_utf8(raw)
    return Source(text, metadata=metadata)


READERS: dict[str, Reader] = {"text": _read_text}


def kind_of(path: Path) -> str:
    """The kind of a file, which names its reader."""
    return "text"


def read_paths(paths: Iterable[str | Path]) -> tuple[list[Source], list[Skipped]]:
    """The documents of files and folders, in this order, and what was left out of the folders.

    Raises:
        ContextError: A path is not there or cannot be read, a folder has nothing to read, or there
            is no path.
    """
    if isinstance(paths, (str, Path)):
        paths = [paths]
    sources: list[Source] = []
    skipped: list[Skipped] = []
    for path in paths:
        if os.path.isdir(path):
            found, left_out = _read_folder(Path(path))
            sources += found
            skipped += left_out
        else:
            sources.append(_read_named(path))
    if not sources:
        raise ContextError("A context needs at least one path, and none was given.")
    return sources, skipped


def read_stdin(stream: BinaryIO | None = None) -> Source:
    """What is piped into this program, as one document.

    Args:
        stream: What to read; None: standard input.

    Raises:
        ContextError: Nothing is piped in, or it is not text.
    """
    stream = sys.stdin.buffer if stream is None else stream
    if stream.isatty():
        raise ContextError("Nothing is piped into standard input: pipe text in, or name a file.")
    return _read(stream.read(), "standard input", "text")


def _read_named(named: str | Path) -> Source:
    """A file that the caller named."""
    path = Path(named)
    if not str(named):
        raise ContextError('"" is not a path. Name a file or a folder ("." for this one).', path="")
    try:
        if (source := in_place(path)) is not None:
            return _located(source, path, path.name)
        raw = path.read_bytes()
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
    return _located(_read(raw, str(path), kind_of(path)), path, path.name)


def _read(raw: bytes, name: str, kind: str) -> Source:
    try:
        source = READERS[kind](raw)
    except BinaryData as error:
        raise ContextError(
            f"{name}: is not text ({error}). Only text can be read: convert it to text first.",
            path=name,
        ) from error
    if source.is_blank:
        raise ContextError(f"{name}: is empty. Give a file that holds text.", path=name)
    return source


def _read_folder(folder: Path) -> tuple[list[Source], list[Skipped]]:
    sources: list[Source] = []
    skipped: list[Skipped] = []
    for path, reason in _walk(folder, folder.resolve()):
        name = path.relative_to(folder).as_posix()
        if not reason:
            try:
                source = in_place(path) or READERS[kind_of(path)](path.read_bytes())
            except BinaryData as error:
                reason = f"binary ({error})"
            except OSError as error:
                reason = f"unreadable ({error.strerror or error})"
            else:
                reason = "empty" if source.is_blank else ""
        if reason:
            skipped.append((str(path), reason))
        else:
            sources.append(_located(source, path, name))
    if not sources:
        raise ContextError(
            f"{folder}: no text file is in this folder ({len(skipped)} left out: hidden, binary "
            "or empty). Name a folder with text files, or the files themselves.",
            path=str(folder),
            skipped=skipped,
        )
    return sources, skipped


def _walk(folder: Path, root: Path) -> Iterator[tuple[Path, str]]:
    """Every file under a folder, sorted, with the reason to leave it out or ""."""
    try:
        paths = sorted(folder.iterdir(), key=lambda path: (path.name.casefold(), path.name))
    except OSError as error:
        yield folder, f"unreadable ({error.strerror or error})"
        return
    for path in paths:
        if path.name.startswith("."):
            yield path, "hidden"
        elif path.is_symlink() and not path.resolve().is_relative_to(root):
            yield path, "a link that leads out of the folder"
        elif path.is_symlink() and path.is_dir():
            yield path, "a link to a folder"
        elif path.is_dir():
            yield from _walk(path, root)
        else:
            yield path, "" if path.is_file() else "not a regular file"


def _located(source: Source, path: Path, title: str) -> Source:
    return replace(source, title=source.title or title, path=str(path))
