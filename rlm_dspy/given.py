"""What a question at a terminal is about: files, folders, URLs, or what is piped in."""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rlm_dspy.outcome import UsageError

if TYPE_CHECKING:
    from rlm_dspy.budget import Budget
    from rlm_dspy.context import Context, ReadProgress

# How long reading is quiet, in seconds; and where nobody watches it live, how many times as long
# the next word of it takes to come.
_QUIET, _SLOWER = 2.0, 2.0
_MEGABYTE = 1_000_000


def context_of(
    paths: list[str],
    reading: Mapping[str, Any],
    vision_model: str | None,
    budget: "Budget",
    note: Callable[[str], None],
) -> "Context":
    """What the question is about: what the paths lead to, or standard input for none and for "-".

    Args:
        paths: Files, folders and URLs.
        reading: What of them is read: `ReadOptions`'s own names.
        vision_model: The model that reads images and scanned pages; None: nobody does.
        budget: What that may cost, beside what the run may.
        note: Is told how far reading is where it takes long, and what images did cost.

    Raises:
        UsageError: "-" stands beside other paths.
        ContextError: One cannot be read, or there is no text.
    """
    from rlm_dspy.context import Context, ReadOptions

    reader = None
    if vision_model is not None:
        from rlm_dspy.queries.images import ImageReader

        reader = ImageReader(vision_model, budget)
    options = ReadOptions(describe=reader, progress=Told(note), **reading)
    if not paths or paths == ["-"]:
        context = Context.from_stdin(options)
    elif "-" in paths:
        raise UsageError("'-' (standard input) cannot be given together with other paths.")
    else:
        context = Context.from_paths(paths, options)
    if reader is not None and (spend := reader.spend).calls:
        calls = f"{spend.calls:,} call{'' if spend.calls == 1 else 's'}"
        note(f"Images: {calls}, {spend.tokens:,} tokens, ${spend.dollars:.4f}")
    return context


class Told:
    """Tells how far reading is: once it takes long, and then now and then.

    Args:
        note: Is told.
        clock: The time, in seconds.
    """

    def __init__(self, note: Callable[[str], None], clock: Callable[[], float] = time.monotonic):
        self._note = note
        self._clock = clock
        self._began = clock()
        self._next = _QUIET
        self._grows = 1.0 if sys.stderr.isatty() else _SLOWER

    def __call__(self, progress: "ReadProgress") -> None:
        """Takes how far it is."""
        took = self._clock() - self._began
        done = progress.files == progress.of_files
        if took < self._next and not (done and self._next > _QUIET):
            return
        self._next = max(self._next * self._grows, took + _QUIET)
        text = f"Read {progress.files:,} of {progress.of_files:,} files"
        if progress.of_size >= _MEGABYTE:
            done, all_of_it = progress.size / _MEGABYTE, progress.of_size / _MEGABYTE
            text += f", {done:,.0f} of {all_of_it:,.0f} MB"
        self._note(text)


def piped_paths() -> list[str]:
    """The paths that are piped in, as `find`, `git ls-files` or `rg -l` give them.

    Raises:
        UsageError: There are none.
    """
    data = b"" if sys.stdin.isatty() else sys.stdin.buffer.read()
    lines = data.split(b"\0") if b"\0" in data else data.splitlines()
    if not (paths := [os.fsdecode(line) for line in lines if line]):
        raise UsageError("--paths-from-stdin found no paths: pipe them in, one a line.")
    return paths


def read_notes(paths: Sequence[str], reading: Mapping[str, Any]) -> dict[str, Any]:
    """What a run's record is to know of what was read, so that it can be read again.

    Args:
        paths: As `context_of` takes them.
        reading: The same.
    """
    return {"paths": list(paths) or ["-"], "directory": _directory(), "reading": dict(reading)}


def paths_again(notes: Mapping[str, Any]) -> list[str]:
    """The paths that a record names, as they lead to the same files from here.

    Where nothing has changed they stay as they were given, since documents and citations show them.

    Args:
        notes: What `read_notes` gave; in older records without the directory.
    """
    from rlm_dspy.context.fetching import is_url

    paths: list[str] = list(notes.get("paths") or ())
    directory = notes.get("directory")
    if not directory or directory == _directory():
        return paths
    return [p if p == "-" or is_url(p) else os.path.join(directory, p) for p in paths]


def _directory() -> str | None:
    """The working directory; None where it was deleted, so that no path can start from it."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None
