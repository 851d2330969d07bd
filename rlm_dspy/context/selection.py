"""Which files are read, as a good grep decides it.

Under a folder hidden files, what .gitignore and .ignore files name, version control's own folders
and links out of the folder are left out; patterns and types narrow what is left. The files of a
rotated log come oldest first, everything else by name.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from rlm_dspy.context.ignoring import Ignored, matches
from rlm_dspy.context.read_options import ReadOptions
from rlm_dspy.context.readers.base import Blob, Skipped
from rlm_dspy.settings import cache_dir

_VERSION_CONTROL = {".git", ".hg", ".svn", ".jj", "CVS"}
# app.log.3.gz, app.log-20260114, syslog.1, app.2.log
_ROTATED = re.compile(
    r"(?P<base>.+?)"
    r"(?:\.(?P<number>\d{1,3})|[-.](?P<date>\d{4}-?\d\d-?\d\d(?:[-T]?[\d-]{2,8})?))"
    r"(?P<log>\.log)?(?:\.(?:gz|bz2|xz|zst))?"
)
_LOG = (".log", ".out", ".err")


def is_chosen(name: str, options: ReadOptions) -> bool:
    """Whether the patterns choose a file by its name, relative and with "/"."""
    include = tuple(options.include)
    return (not include or matches(name, include)) and not matches(name, options.exclude)


def is_of_type(blob: Blob, kind: str, options: ReadOptions) -> bool:
    """Whether a source's kind or extension is one that is asked for."""
    types = {each.lower().removeprefix(".") for each in options.types}
    return not types or kind in types or blob.suffix.removeprefix(".") in types


def is_hidden(name: str) -> bool:
    """Whether a part of a name, with "/", begins with a dot."""
    return any(part.startswith(".") for part in PurePosixPath(name).parts)


def file_or_skipped(path: Path, name: str, options: ReadOptions) -> Blob | Skipped:
    """A file as a source, or why it is none.

    Args:
        path: The file.
        name: What it is called in titles.
        options: What is read.
    """
    try:
        blob = Blob.of_file(path, name, options.limits)
    except OSError as error:
        return Skipped(str(path), f"unreadable ({error.strerror or error})", failed=True)
    most = options.max_bytes
    if most is not None and (blob.size or 0) > most:
        return Skipped(str(path), f"larger than {most:,} bytes ({blob.size:,})")
    return blob


def files_under(folder: Path, options: ReadOptions) -> Iterator[Blob | Skipped]:
    """The files under a folder, and what is left out by a rule that nobody asked for.

    This program's own cache is passed over without a word.

    Args:
        folder: The folder.
        options: What is read.
    """
    root, own = folder.resolve(), cache_dir().resolve()
    above = Ignored.above(root) if options.ignore_files else Ignored(root)
    waiting: list[tuple[Path, bool, Ignored]] = [(folder, True, above)]
    while waiting:
        path, is_folder, ignored = waiting.pop()
        name = path.relative_to(folder).as_posix()
        if not is_folder:
            if is_chosen(name, options):
                yield file_or_skipped(path, name, options)
            continue
        try:
            entries = _sorted(path)
        except OSError as error:
            yield Skipped(str(path), f"unreadable ({error.strerror or error})", failed=True)
            continue
        if options.ignore_files:
            ignored = ignored.within(root / name)
        kept = []
        for entry in entries:
            name, is_folder = entry.relative_to(folder).as_posix(), entry.is_dir()
            if is_folder and root / name == own:
                continue
            if matches(f"{name}/" if is_folder else name, options.exclude):
                continue
            reason = _reason(entry, root, is_folder=is_folder, hidden=options.hidden)
            reason = reason or ignored.reason(root / name, is_folder=is_folder)
            if reason:
                yield Skipped(str(entry), reason)
            else:
                kept.append((entry, is_folder, ignored))
        waiting += reversed(kept)


def _reason(path: Path, root: Path, *, is_folder: bool, hidden: bool) -> str:
    """Why what lies in a folder is left out, or ""."""
    if path.name.startswith(".") and not hidden:
        return "hidden"
    if is_folder and path.name in _VERSION_CONTROL:
        return "version control"
    if path.is_symlink():
        try:
            target = path.resolve()
        except (OSError, RuntimeError):  # Python below 3.13 raises RuntimeError for a loop
            return "a link that leads nowhere"
        if not target.is_relative_to(root):
            return "a link that leads out of the folder"
        if is_folder:
            return "a link to a folder"
    return "" if is_folder or path.is_file() else "not a regular file"


def _sorted(folder: Path) -> list[Path]:
    """What lies in a folder, by name, but rotated logs from the oldest on.

    Raises:
        OSError: It cannot be listed.
    """
    names = set(os.listdir(folder))
    return [folder / name for name in sorted(names, key=lambda name: _place(name, names))]


def _place(name: str, names: set[str]) -> tuple[str, int, int, str, str]:
    """Where a name stands among the names beside it."""
    found = _ROTATED.fullmatch(name)
    base = found["base"] + (found["log"] or "") if found else name
    if not found or not (base in names or base.endswith(_LOG)):
        return name.casefold(), 1, 0, "", name
    return base.casefold(), 0, -int(found["number"] or 0), found["date"] or "", name
