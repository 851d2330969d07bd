"""`Context`: an input far longer than a model's window, as an immutable, read-only `str`.

It lies over one UTF-8 buffer (bytes, a map of a file, memory shared with another process) that is
never decoded as a whole, knows its documents, titles, lines and character offsets, and finds things
without a model. The same class works on the host and, over shared memory, in the REPL's worker.
It promises what `str` gives for every read-only operation; it never reads a source again.
"""

import itertools
import os
import threading
import weakref
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from rlm_dspy.context.documents import Document, Span
from rlm_dspy.context.hits import Hit, Passage
from rlm_dspy.context.offsets import TextBuffer
from rlm_dspy.context.pieces import plain
from rlm_dspy.context.search import Found, Searcher
from rlm_dspy.context.searching import SHORT_BYTES, answering, searcher_of
from rlm_dspy.context.sources import Entry, Source, assembled, source_of
from rlm_dspy.context.view import View
from rlm_dspy.errors import ContextError
from rlm_dspy.shared import Joined, SealedMemory, Shared, Stretch
from rlm_dspy.wire import Parcel

if TYPE_CHECKING:
    from rlm_dspy.context.read_options import ReadOptions

# Longer pieces are not copied into a `Span`; a shorter whole text is kept once it was decoded.
_LONGEST_SPAN = 1 << 23
_KEPT_TEXT = 1 << 20
_TITLES_SHOWN = 5
# Tells the contexts of this process apart.
_numbers = itertools.count()


class Context(View):
    """An immutable text with its documents.

    Args:
        buffer: The whole text.
        entries: The documents in it, in order.
        skipped: What was left out of it: (path, reason) pairs.
    """

    __slots__ = (
        "__weakref__",
        "_buffer",
        "_documents",
        "_number",
        "_opens",
        "_parcel",
        "_search",
        "_search_lock",
        "_skipped",
        "_text",
    )

    _cores: ClassVar[int] = os.cpu_count() or 1

    def __init__(
        self,
        buffer: TextBuffer,
        entries: Iterable[Entry],
        skipped: Iterable[tuple[str, str]] = (),
    ):
        self._buffer = buffer
        super().__init__(self, 0, buffer.chars)
        self._documents = tuple(Document(self, *numbered) for numbered in enumerate(entries))
        self._opens = [document._entry.opens for document in self._documents]
        self._skipped = tuple((str(path), str(reason)) for path, reason in skipped)
        self._number: int | None = next(_numbers)
        self._search: Searcher | None = None
        self._search_lock = threading.Lock()
        self._text: str | None = None
        self._parcel: weakref.ref[Parcel] | None = None

    # Making one.

    @classmethod
    def from_text(cls, text: str, title: str | None = None) -> Self:
        """A context of one text.

        Raises:
            ContextError: The text is empty.
        """
        return cls._of([source_of({"text": text, "title": title})], "the text given")

    @classmethod
    def from_documents(cls, documents: Iterable[Any]) -> Self:
        """A context of several documents.

        Args:
            documents: Each a str, a dict with "text" and perhaps "title", "path", "id" and other
                keys (its metadata), a (title, text) pair, or an object with such attributes.

        Raises:
            ContextError: There is none, or one has no text.
        """
        if isinstance(documents, (str, View, Mapping)):
            documents = [documents]
        return cls._of([source_of(document) for document in documents], "the documents given")

    @classmethod
    def from_path(cls, path: str | Path, options: "ReadOptions | None" = None) -> Self:
        """A context of a file, or of all files under a folder, or of a URL.

        What cannot be read, hidden and ignored files are left out and named in `skipped`.

        Args:
            path: The file or folder; a str may be a URL, where `options` allow it.
            options: What is read, and how.

        Raises:
            ContextError: Nothing is there, or nothing readable.
        """
        return cls.from_paths([path], options)

    @classmethod
    def from_paths(cls, paths: Iterable[str | Path], options: "ReadOptions | None" = None) -> Self:
        """A context of several files, folders and URLs, in this order.

        Args:
            paths: As `from_path` takes them.
            options: What is read, and how.

        Raises:
            ContextError: One of them is not there, there is none, or nothing can be read; where
                `options` are strict, also where something cannot.
        """
        from rlm_dspy.context.ingest import read_paths

        sources, skipped = read_paths(paths, options)
        return cls._of(sources, "the paths given", skipped)

    @classmethod
    def from_dataset(cls, dataset: Any, text: str | None = None) -> Self:
        """A context of a HuggingFace `Dataset`: one split of one configuration.

        Each row with a text is a document, and its other columns are metadata. Rows without one
        are a single document: a JSON object a line.

        Args:
            dataset: The dataset, or any iterable of dicts.
            text: The column with the text; None: "text", "content", "page_content" or "body".

        Raises:
            ContextError: It has no rows, or not that column; or it holds several splits.
        """
        from rlm_dspy.context.datasets import documents_of

        return cls._of(documents_of(dataset, text), "the dataset given")

    @classmethod
    def from_stdin(cls, options: "ReadOptions | None" = None) -> Self:
        """A context of what is piped into this program: text, or a file of any kind.

        Raises:
            ContextError: Nothing is, or nothing that can be read.
        """
        from rlm_dspy.context.ingest import read_stdin

        sources, skipped = read_stdin(options)
        return cls._of(sources, "standard input", skipped)

    @classmethod
    def coerce(cls, value: Any) -> "Context":
        """A context from whatever a caller has.

        Args:
            value: A context; a str, which is always text and never a path; a `Path`; or a list of
                documents, or of `Path`s.

        Raises:
            ContextError: It is none of these, or empty.
        """
        if isinstance(value, Context):
            return value
        if isinstance(value, (str, View)):
            return cls.from_text(plain(value))
        if isinstance(value, Path):
            return cls.from_path(value)
        if isinstance(value, Mapping):
            return cls.from_documents([value])
        if not isinstance(value, Iterable) or isinstance(value, (bytes, bytearray, memoryview)):
            raise ContextError(
                f"A context cannot be made from {type(value).__name__}: give a str, a list of "
                "documents, a pathlib.Path or a Context.",
                value=value,
            )
        items = list(value)
        paths = [item for item in items if isinstance(item, Path)]
        return cls.from_paths(paths) if paths == items != [] else cls.from_documents(items)

    @classmethod
    def _of(
        cls, sources: list[Source], origin: str, skipped: Iterable[tuple[str, str]] = ()
    ) -> Self:
        if all(source.is_blank for source in sources):
            raise ContextError(
                f"A context needs text, and {origin} held none. Give text, documents or files.",
                skipped=list(skipped),
            )
        data, entries = assembled(sources)
        size = len(data) if isinstance(data, bytes) else data.size
        # A text with as many characters as bytes is ASCII.
        return cls(TextBuffer(data, ascii=size == entries[-1].end), entries, skipped)

    # What it is.

    @property
    def documents(self) -> Sequence[Document]:
        """Its documents, in order; each has `title`, `path`, `text` and is itself text."""
        return self._documents

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """What was left out of it when it was read: (path, reason) pairs."""
        return list(self._skipped)

    def __repr__(self) -> str:
        return f"<Context, {_counted(len(self), 'character')}, {self._counted_documents()}>"

    def _counted_documents(self) -> str:
        return _counted(len(self._documents), "document")

    def describe(self, titles: int = _TITLES_SHOWN) -> str:
        """What it is, in a sentence or two: its size, its documents and up to `titles` titles."""
        named = [document for document in self._documents if document._entry.title]
        shown = ", ".join(
            f"{document.title!r} ({_counted(len(document), 'character')})"
            for document in named[:titles]
        )
        more = f" and {len(named) - titles:,} more" if len(named) > titles else ""
        size = f"Context: {_counted(len(self), 'character')}, {self._counted_documents()}"
        left_out = f" {_counted(len(self._skipped), 'file')} left out." if self._skipped else ""
        return f"{size}: {shown}{more}.{left_out}" if shown else f"{size}.{left_out}"

    def preview(self, head_chars: int = 500, tail_chars: int = 200) -> str:
        """How it begins and ends, with what is left out between them counted.

        Args:
            head_chars: The most characters of its beginning.
            tail_chars: The most characters of its end.
        """
        left_out = len(self) - head_chars - tail_chars
        if left_out <= 0:
            return str(self)
        tail = self[len(self) - tail_chars :]
        return f"{self[:head_chars]}\n… [{_counted(left_out, 'character')} more] …\n{tail}"

    # What its pieces ask of it.

    def _whole(self) -> str:
        if self._text is not None:
            return self._text
        text = super()._whole()
        if len(text) <= _KEPT_TEXT:
            self._text = text
        return text

    def _cut(self, start: int, end: int, text: str | None = None) -> Any:
        long = end - start > _LONGEST_SPAN
        return View(self, start, end) if long else Span(self, start, end, text)

    def _hit(self, start: int, end: int, text: str | None, around: int) -> Hit:
        return Hit(self, start, end, text, around)

    def _passage(self, found: Found) -> Passage:
        return Passage(self, *found)

    def _document_at(self, char: int) -> Document:
        return self._documents[max(0, bisect_right(self._opens, char) - 1)]

    def _searcher(self) -> Searcher:
        with self._search_lock:
            if self._search is None:
                self._search = self._new_searcher()
            return self._search

    def _new_searcher(self) -> Searcher:
        return searcher_of(self._buffer, self._sections(), threads=self._cores)

    def _sections(self) -> list[tuple[int, int]]:
        return [(document._entry.opens, document.end) for document in self._documents]

    # Going elsewhere.

    def __to_worker__(self) -> Parcel:
        """The context for the REPL's worker: its text, and the index of its characters if any.

        Sessions that are alive together share one parcel.
        """
        parcel = self._parcel() if self._parcel else None
        if parcel is None:
            parcel = self._packed()
            self._parcel = weakref.ref(parcel)
        return parcel

    def _packed(self) -> Parcel:
        data, index = self._buffer.data, self._buffer.index
        stretches = data.stretches if isinstance(data, Joined) else ()
        parts = list(dict.fromkeys(stretch.shared for stretch in stretches))
        layout = [[parts.index(shared), *rest] for shared, *rest in stretches]
        if not parts:
            parts = [data if isinstance(data, Shared) else SealedMemory.of([data])]
        indexes = [] if index is None else [SealedMemory.of([index])]
        functions = {}
        if self._buffer.size > SHORT_BYTES:
            functions[f"search {self._number}"] = answering(self._searcher, len(self))
        return Parcel(
            loader="rlm_dspy.context.worker:load",
            buffers=(*parts, *indexes),
            meta={**self._meta(layout), "search": next(iter(functions), None)},
            functions=functions,
        )

    def _meta(self, layout: list[list[Any]]) -> dict[str, Any]:
        return {
            "documents": [list(document._entry) for document in self._documents],
            "skipped": [list(pair) for pair in self._skipped],
            "layout": layout,
            "ascii": self._buffer.ascii,
            "number": self._number,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        buffer = self._buffer
        buffers = (buffer.read(0, buffer.size), *([] if buffer.ascii else [buffer.index]))
        return restored, (type(self), buffers, self._meta([]))


def restored(kind: type[Context], buffers: Sequence[Any], meta: dict[str, Any]) -> Context:
    """A context from the buffers and the data of its parcel; the buffers are not copied.

    Args:
        kind: `Context` or a class of it.
        buffers: The text as UTF-8, or the parts that the layout puts together, and where it is not
            ASCII the index of its characters.
        meta: The "documents", what was "skipped", the "layout" and whether it is "ascii".
    """
    *parts, last = buffers
    index = None if meta["ascii"] else getattr(last, "view", last)
    parts = [*parts, last] if meta["ascii"] else parts
    layout = [Stretch(parts[number], *rest) for number, *rest in meta["layout"]]
    return kind(
        TextBuffer(Joined(layout) if layout else parts[0], index=index, ascii=meta["ascii"]),
        (Entry(*entry) for entry in meta["documents"]),
        (tuple(pair) for pair in meta["skipped"]),
    )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
