"""From a source to documents: its kind's reader is asked, and so for everything inside of it.

Readers are named here by kind and imported when a source of the kind is met: the libraries behind
them are the extra `files`, and plain text needs none. What a reader cannot read becomes a `Skipped`
and the rest goes on.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib import import_module

from rlm_dspy.context.ignoring import matches
from rlm_dspy.context.kinds import TEXT_KINDS, kind_of
from rlm_dspy.context.pictures import described
from rlm_dspy.context.read_options import ReadOptions
from rlm_dspy.context.readers.base import Blob, Part, Reader, Skipped, parsing
from rlm_dspy.context.readers.limits import Exhausted, Unreadable
from rlm_dspy.context.selection import is_hidden, is_of_type

_PACKED = ("gzip", "bzip2", "xz", "zstd")
_ARCHIVES = ("zip", "tar")
# Kinds of files with others inside, of which the options choose some.
HOLDING = frozenset({*_PACKED, *_ARCHIVES, "mail", "mbox"})
READERS = {
    **dict.fromkeys(TEXT_KINDS, "text"),
    **dict.fromkeys(_PACKED, "compressed"),
    **dict.fromkeys(_ARCHIVES, "archives"),
    **dict.fromkeys(("mail", "mbox"), "mail"),
    **dict.fromkeys(("vtt", "srt"), "transcripts"),
    **dict.fromkeys(("bibtex", "csl"), "bibliography"),
    **{kind: kind for kind in ("html", "pdf", "docx", "pptx", "xlsx", "parquet", "sqlite")},
    "image": "images",
}
_UNREAD = {
    "ole": "an encrypted or old office document: save it as DOCX, XLSX or PPTX without a password",
    "xlsb": "a binary workbook: save it as XLSX",
}


def parts(blob: Blob, options: ReadOptions) -> Iterator[Part | Skipped]:
    """The documents of a source, and what of it could not be read.

    A part is used up before the next one is asked for. Its text may be made while it is read; that
    can raise `Unreadable` too, and then there is no such part.

    Args:
        blob: The source.
        options: How to read it.
    """
    try:
        yield from _parts(blob, options)
    except Exhausted as error:
        reason = f"{error.message}: what follows in it is left out"
        yield Skipped(blob.place, reason, failed=True)
    except Unreadable as error:
        yield Skipped(blob.place, error.message, failed=True)


def passes(blob: Blob, kind: str, options: ReadOptions) -> bool:
    """Whether a source is of a type that is asked for, or may hold others that are."""
    return kind in _PACKED or kind in _ARCHIVES or is_of_type(blob, kind, options)


def _parts(blob: Blob, options: ReadOptions) -> Iterator[Part | Skipped]:
    with parsing("a file"):
        kind = kind_of(blob)
    if not passes(blob, kind, options):
        return
    with parsing(kind):
        for found in _reader(kind)(blob, kind):
            if isinstance(found, Skipped):
                yield found
            elif isinstance(found, Part):
                yield _with_text(found, kind, options)
            elif kind in _PACKED:
                yield from _parts(found, options)
            elif not matches(found.name, options.exclude):
                yield from _member(found, options)


def _reader(kind: str) -> Reader:
    if kind not in READERS:
        raise Unreadable(_UNREAD[kind])
    return import_module(f"rlm_dspy.context.readers.{READERS[kind]}").read


def _member(blob: Blob, options: ReadOptions) -> Iterator[Part | Skipped]:
    if is_hidden(blob.metadata["member"]) and not options.hidden:
        yield Skipped(blob.place, "hidden")
        return
    try:
        yield from _parts(blob, options)
    except Exhausted:  # the limit is the whole source's
        raise
    except Unreadable as error:
        yield Skipped(blob.place, error.message, failed=True)


def _with_text(part: Part, kind: str, options: ReadOptions) -> Part | Skipped:
    if part.pictures is not None:
        return described(part, options.describe)
    if isinstance(part.data, (str, Blob)):
        return part
    return replace(part, data=_guarded(part.data, kind))


def _guarded(pieces: Iterable[str], kind: str) -> Iterator[str]:
    with parsing(kind):
        yield from pieces
