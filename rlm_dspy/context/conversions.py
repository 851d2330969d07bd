"""What files were read as, kept in the cache folder, so that an unchanged file is not read again.

An entry is found by the file's path, size and times, and where they say something new by its
content; what else its text depends on is in the key: the code of the readers, the versions of their
libraries, the limits, who describes images. A file that was changed a moment ago is not known by
its times, which are too coarse to tell the next change. A text that is large enough to stay in its
file is kept as its counts alone; a small plain text is only kept where there is much to read.
"""

import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import Any, Self

from rlm_dspy.context.entries import Entry, Record
from rlm_dspy.context.kept_texts import KeptTexts
from rlm_dspy.context.kinds import TEXT_KINDS, kind_of
from rlm_dspy.context.read_options import ReadOptions
from rlm_dspy.context.readers.base import Blob, Skipped, parsing
from rlm_dspy.context.readers.limits import Unreadable
from rlm_dspy.context.reading import HOLDING, passes
from rlm_dspy.context.sources import Source
from rlm_dspy.errors import ContextError
from rlm_dspy.shared import PinnedFile

# Plain text below the size that stays in place is kept from so many files, or bytes, on.
_MANY_FILES, _MUCH = 200, 8 << 20
# A file that was changed so shortly before may change again within the same tick of its clock
# (git's "racy" files): 2 s is the coarsest clock of a file system in use, FAT's.
_SETTLED_NS = 2_000_000_000
_STEP = 1 << 20
_LINK = b"="
# The code that decides what a file's text is, beside all that is in `readers`.
_CODE = ("encodings", "entries", "in_place", "ingest", "kinds", "pictures", "reading")
# The libraries behind the readers: the extra `files`.
PACKAGES = (
    *("pypdf", "python-docx", "openpyxl", "defusedxml", "python-pptx", "markdownify", "lxml"),
    *("charset-normalizer", "pillow", "pyarrow", "webvtt-py", "bibtexparser", "backports.zstd"),
)
Found = Source | Skipped
# What changes with a file's content: which file it is, its size, its times in ns.
Stamp = tuple[int, int, int, int, int]
# A kept entry; and the file, or its bytes, where it is its own text.
Kept = tuple[Entry, PinnedFile | bytes | None]


class Conversions:
    """The kept documents of files; a context manager.

    Args:
        blobs: All that is read together.
        options: How it is read.
        staying: The files that stay where they are if they are plain text; others are copied.
    """

    def __init__(
        self, blobs: Iterable[Blob | Skipped], options: ReadOptions, staying: Collection[Path]
    ):
        self._options = options
        self._staying = staying
        sizes = [blob.size or 0 for blob in blobs if isinstance(blob, Blob) and blob.file]
        self._keeps_plain = len(sizes) >= _MANY_FILES or sum(sizes) >= _MUCH
        self._kept = KeptTexts()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    def of(self, blob: Blob, read: Callable[[Blob], Iterator[Found]]) -> Iterator[Found]:
        """The documents of a source, and what of it is left out.

        Args:
            blob: The source.
            read: Reads it, where nothing is kept of it.
        """
        stamp = _stamp(blob) if self._is_worth(blob) else None
        if stamp is None:
            yield from read(blob)
            return
        quick = self._key("file", os.path.abspath(blob.file or ""), *stamp)
        kept, content = self._entry(quick, blob, stamp), None
        kind = _kind(blob) if kept is None else None
        if kind is not None and kind not in TEXT_KINDS and (digest := _digest(blob)) is not None:
            content = self._key("content", Path(blob.name).name, digest)
            kept = self._entry(content, blob, stamp)
            if kept is not None:
                self._link(quick, content, stamp)
        if kept is not None:
            if passes(blob, kept[0].about["kind"], self._options):
                yield from kept[0].documents(blob, kept[1])
        elif kind is None:
            yield from read(blob)
        else:
            yield from self._read(blob, read, stamp, (quick, content, kind))

    def _is_worth(self, blob: Blob) -> bool:
        if blob.file is None or not self._options.keep:
            return False
        return self._keeps_plain or _kind(blob) not in (None, *TEXT_KINDS)

    def _read(
        self,
        blob: Blob,
        read: Callable[[Blob], Iterator[Found]],
        stamp: Stamp,
        known: tuple[str, str | None, str],
    ) -> Iterator[Found]:
        quick, content, kind = known
        about = {"kind": kind, "selection": self._selection(kind)}
        record = Record(blob, about, described=hasattr(self._options.describe, "cache_key"))
        try:
            for found in read(blob):
                yield record.take(found)
            if not passes(blob, kind, self._options) or _stamp(blob) != stamp:
                return
            entry = record.finish()
        finally:
            record.drop()
        if entry is None:
            return
        if content is not None:
            self._kept.set(content, *entry)
            self._link(quick, content, stamp)
        elif _is_settled(stamp):
            self._kept.set(quick, *entry)

    def _link(self, quick: str, content: str, stamp: Stamp) -> None:
        if _is_settled(stamp):
            self._kept.set(quick, _LINK + content.encode())

    def _selection(self, kind: str) -> str:
        """What of a file with others inside is read; nothing of another depends on it."""
        if kind not in HOLDING:
            return ""
        options = self._options
        return repr((sorted(options.types), sorted(options.exclude), options.hidden))

    def _key(self, *parts: Any) -> str:
        options = self._options
        describes = getattr(options.describe, "cache_key", "?") if options.describe else None
        whole = (_readers(), options.limits, describes, parts)
        return hashlib.blake2b(repr(whole).encode("utf-8", "replace"), digest_size=20).hexdigest()

    def _entry(self, key: str, blob: Blob, stamp: Stamp) -> Kept | None:
        kept = self._kept.get(key)
        if isinstance(kept, bytes) and kept.startswith(_LINK):
            kept = self._kept.get(kept[len(_LINK) :].decode())
        if kept is None:
            return None
        try:
            entry = Entry(kept)
            if entry.about["selection"] != self._selection(entry.about["kind"]):
                return None
            return entry, self._file(blob, stamp) if entry.is_file else None
        except (ValueError, KeyError, OSError, ContextError):
            return None

    def _file(self, blob: Blob, stamp: Stamp) -> PinnedFile | bytes:
        """A file that is its own text, or its bytes where it may not stay.

        Raises:
            OSError: It cannot be read.
            ContextError, ValueError: It is not what it was.
        """
        assert blob.file is not None
        file = PinnedFile.open(blob.file)
        if _stamp_of(os.fstat(file.number)) != stamp:
            raise ValueError("it changes")
        return file if blob.file in self._staying else file.read(0, file.size)


@cache
def _readers() -> str:
    """Tells the code and the libraries that read files from any other."""
    digest = hashlib.blake2b(digest_size=16)
    room = resources.files("rlm_dspy.context")
    code = [room / f"{name}.py" for name in _CODE]
    code += sorted((room / "readers").iterdir(), key=lambda file: file.name)
    for file in code:
        if file.is_file():
            digest.update(file.read_bytes())
    for name in PACKAGES:
        try:
            digest.update(f" {name} {metadata.version(name)}".encode())
        except metadata.PackageNotFoundError:
            continue
    return digest.hexdigest()


def _kind(blob: Blob) -> str | None:
    try:
        with parsing("a file"):
            return kind_of(blob)
    except Unreadable:
        return None  # reading it says why


def _digest(blob: Blob) -> str | None:
    digest = hashlib.blake2b(digest_size=20)
    try:
        with blob.opener() as stream:
            while piece := stream.read(_STEP):
                digest.update(piece)
    except OSError:
        return None  # reading it says why
    return digest.hexdigest()


def _stamp(blob: Blob) -> Stamp | None:
    try:
        return _stamp_of(os.stat(blob.file or ""))
    except OSError:
        return None  # reading it says why


def _stamp_of(status: os.stat_result) -> Stamp:
    changed = status.st_mtime_ns, status.st_ctime_ns
    return status.st_dev, status.st_ino, status.st_size, *changed


def _is_settled(stamp: Stamp) -> bool:
    return time.time_ns() - max(stamp[-2:]) > _SETTLED_NS
