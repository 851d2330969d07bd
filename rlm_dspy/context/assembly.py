"""From documents to one text: what is small lies together in memory, files lie where they are.

Documents are taken one by one, so that only one of them is held beside what is gathered already.
A text of some megabytes is plain `bytes`; a longer one is in memory or files that other processes
can share, and is counted block by block while it is gathered, or was before.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import NamedTuple

from rlm_dspy.context.blocks import Counts, IndexBuilder
from rlm_dspy.context.gathering import GATHERED_BYTES, Gathered
from rlm_dspy.context.offsets import TextBuffer
from rlm_dspy.context.sources import Entry, Source, utf8
from rlm_dspy.shared import Joined, SealedMemory, Shared, Stretch

# Bytes of a text up to which it is plain `bytes`.
IN_MEMORY_BYTES = GATHERED_BYTES
# A shorter stretch of a file is copied, bytes: finding it would cost more than its text does.
LEAST_IN_PLACE = 16 << 10
# Each file that stays in place takes a descriptor, here and in every worker.
MOST_FILES = 200
# Bytes, and characters, that are copied at once.
_STEP = 1 << 20
# Between two documents in the combined text; and before one that has a title.
SEPARATOR = "\n\n"
_TITLE_LINE = "===== {} =====\n"


class Assembled(NamedTuple):
    """The combined text of several documents.

    Attributes:
        buffer: The text.
        entries: Where each document is in it.
        is_blank: Whether they are nothing but white space.
    """

    buffer: TextBuffer
    entries: list[Entry]
    is_blank: bool


class Assembly:
    """Parts on their way into one text.

    Args:
        in_memory: Bytes up to which a text is this process's own alone; a longer one is in memory
            that it can share. None: `IN_MEMORY_BYTES`.
        most_files: How many files may stay where they are; of further ones the text is copied.
    """

    def __init__(self, in_memory: int | None = None, most_files: int = MOST_FILES):
        self._in_memory = IN_MEMORY_BYTES if in_memory is None else in_memory
        self._most_files = most_files
        self._index = IndexBuilder()
        self._files: set[Shared] = set()
        self._copied = Gathered(self._in_memory)
        # Where the parts are; None stands for what is copied.
        self._places: list[tuple[Shared | None, int, int]] = []

    def add(self, part: bytes | str | Stretch, counts: Counts | None = None) -> None:
        """Put a part behind the others.

        Args:
            part: Valid UTF-8, a str, or where the text lies.
            counts: What its blocks have, where that is known.

        Raises:
            ContextError: A file is not what it was.
            OSError: There is no room for it.
        """
        if not isinstance(part, Stretch):
            self._copy(_pieces(part), counts)
        elif part.size < LEAST_IN_PLACE or not self._may_stay(part.shared):
            self._copy(_read(part), counts)
        else:
            self._files.add(part.shared)
            self._index.add(part.size, Counts.of(_read(part)) if counts is None else counts)
            self._places.append(tuple(part))

    def _may_stay(self, file: Shared) -> bool:
        return file in self._files or len(self._files) < self._most_files

    def _copy(self, pieces: Iterable[bytes], counts: Counts | None) -> None:
        start = self._copied.size
        for piece in pieces:
            self._copied.write(piece)
            if counts is None:
                self._index.add_bytes(piece)
        size = self._copied.size - start
        if counts is not None:
            self._index.add(size, counts)
        if self._places and self._places[-1][0] is None:
            _, start, before = self._places.pop()
            size += before
        self._places.append((None, start, size))

    def finish(self) -> TextBuffer:
        """The whole text."""
        index = self._index.finish()
        is_ascii = index.chars is None
        copied = self._copied.finish()
        if isinstance(copied, bytes) and self._index.size <= self._in_memory:
            return TextBuffer(self._joined(copied), ascii=is_ascii)
        if isinstance(copied, bytes):
            copied = SealedMemory.of([copied])
        stretches = [Stretch(shared or copied, *rest) for shared, *rest in self._places]
        (whole, start, size), *others = stretches
        alone = not others and start == 0 and size == whole.size
        return TextBuffer(whole if alone else Joined(stretches), index=index, ascii=is_ascii)

    def _joined(self, copied: bytes) -> bytes:
        return b"".join(
            copied[start : start + size] if shared is None else shared.read(start, start + size)
            for shared, start, size in self._places
        )

    def drop(self) -> None:
        """Give up what was gathered; after `finish` nothing happens."""
        self._copied.drop()


def _pieces(part: bytes | str) -> Iterator[bytes]:
    """A text as UTF-8; a long str is never there as a whole in both forms."""
    if isinstance(part, bytes):
        yield part
    else:
        for start in range(0, len(part), _STEP):
            yield utf8(part[start : start + _STEP])


def _read(part: Stretch) -> Iterator[bytes]:
    """The bytes of a stretch, in pieces of whole blocks."""
    shared, start, size = part
    for low in range(start, start + size, _STEP):
        yield shared.read(low, min(low + _STEP, start + size))


def assembled(sources: Iterable[Source]) -> Assembled:
    """The combined text of several documents, and where each one is in it.

    A single document is the whole text. Several are set apart by a blank line, and each one that
    has a title follows a line that shows it, so that a search finds the title; neither belongs to
    a document's own range.
    """
    whole = Assembly()
    try:
        entries, is_blank = _added(sources, whole)
        return Assembled(whole.finish(), entries, is_blank)
    finally:
        whole.drop()


def _added(sources: Iterable[Source], whole: Assembly) -> tuple[list[Entry], bool]:
    entries: list[Entry] = []
    at, is_blank = 0, True
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
        whole.add(source.data, source.counts)
        is_blank = is_blank and source.is_blank
    return entries, is_blank
