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
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from rlm_dspy.context.assembly import assembled
from rlm_dspy.context.blocks import BlockIndex
from rlm_dspy.context.documents import Document, Span
from rlm_dspy.context.hits import Hit, Passage
from rlm_dspy.context.offsets import TextBuffer
from rlm_dspy.context.pieces import plain
from rlm_dspy.context.search import Found, Searcher
from rlm_dspy.context.searching import (
    SHORT_BYTES,
    By,
    answering,
    chosen,
    dense_searcher,
    searcher_of,
)
from rlm_dspy.context.sources import Entry, Source, source_of
from rlm_dspy.context.view import View
from rlm_dspy.errors import ContextError
from rlm_dspy.notebook import table
from rlm_dspy.shared import Joined, SealedMemory, Shared, Stretch
from rlm_dspy.wire import Parcel

if TYPE_CHECKING:
    from rlm_dspy.context.dense import Embedder
    from rlm_dspy.context.read_options import ReadOptions

# Longer pieces are not copied into a `Span`; a shorter whole text is kept once it was decoded.
_LONGEST_SPAN = 1 << 23
_KEPT_TEXT = 1 << 20
_TITLES_SHOWN, _ROWS_SHOWN = 5, 20
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
        "_embedder",
        "_number",
        "_opens",
        "_parcel",
        "_search_lock",
        "_searchers",
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
        self._embedder: Embedder | None = None
        self._searchers: dict[By, Searcher] = {}
        self._search_lock = threading.RLock()
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
        return cls._of(map(source_of, documents), "the documents given")

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

        reading = read_paths(paths, options)
        return cls._of(reading, "the paths given", reading.skipped)

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

        reading = read_stdin(options)
        return cls._of(reading, "standard input", reading.skipped)

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

    def with_embedder(self, embedder: "Embedder") -> Self:
        """The same context, which `search` searches by meaning too.

        Its text is embedded at the first such search; the vectors stay in the cache folder.

        Args:
            embedder: An `rlm_dspy.Embedder`, or any object with its `key`, `query` and `passages`.
        """
        entries = (document._entry for document in self._documents)
        context = type(self)(self._buffer, entries, self._skipped)
        context._embedder = embedder
        return context

    @classmethod
    def _of(
        cls, sources: Iterable[Source], origin: str, skipped: Iterable[tuple[str, str]] = ()
    ) -> Self:
        """A context of documents, which are taken one by one; `skipped` is looked at after them."""
        buffer, entries, is_blank = assembled(sources)
        if is_blank:
            raise ContextError(
                f"A context needs text, and {origin} held none. Give text, documents or files.",
                skipped=list(skipped),
            )
        return cls(buffer, entries, skipped)

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

    def _repr_html_(self) -> str:
        """What a notebook shows: its documents, and how it begins and ends to unfold."""
        shown = self._documents[:_ROWS_SHOWN]
        rows = [(f"{len(each):,}", each.title or "", each.path or "") for each in shown]
        left = len(self._documents) - len(rows)
        more = f"… and {_counted(left, 'more document')}" if left else ""
        size = f"Context: {_counted(len(self), 'character')}, {self._counted_documents()}"
        return table(size, rows, more, self.preview())

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

    def _searcher(self, by: Any = None) -> Searcher:
        by = chosen(by, embedded=self._is_embedded())
        with self._search_lock:
            if by not in self._searchers:
                self._searchers[by] = self._new_searcher(by)
            return self._searchers[by]

    def _is_embedded(self) -> bool:
        return self._embedder is not None

    def _new_searcher(self, by: By) -> Searcher:
        if by == "keywords" or self._embedder is None:
            return searcher_of(self._buffer, self._sections(), threads=self._cores)
        keywords = partial(self._searcher, "keywords")
        return dense_searcher(by, keywords, self._buffer, self._sections(), self._embedder)

    def _sections(self) -> list[tuple[int, int]]:
        return [(document._entry.opens, document.end) for document in self._documents]

    # Going elsewhere.

    def __to_worker__(self) -> Parcel:
        """The context for the REPL's worker: its text, and the index of its characters.

        Sessions that are alive together share one parcel.
        """
        parcel = self._parcel() if self._parcel else None
        if parcel is None:
            parcel = self._packed()
            self._parcel = weakref.ref(parcel)
        return parcel

    def _packed(self) -> Parcel:
        data = self._buffer.data
        stretches = data.stretches if isinstance(data, Joined) else ()
        parts = list(dict.fromkeys(stretch.shared for stretch in stretches))
        layout = [[parts.index(shared), *rest] for shared, *rest in stretches]
        if not parts:
            parts = [data if isinstance(data, Shared) else SealedMemory.of([data])]
        index = self._buffer.index
        indexes = [SealedMemory.of([index.packed()])] if any(index) else []
        functions = {}
        if self._buffer.size > SHORT_BYTES or self._is_embedded():
            functions[f"search {self._number}"] = answering(self._searcher, len(self))
        return Parcel(
            loader="rlm_dspy.context.worker:load",
            buffers=(*parts, *indexes),
            meta={
                **self._meta(layout, indexed=bool(indexes)),
                "search": next(iter(functions), None),
                "embedded": self._is_embedded(),
            },
            functions=functions,
        )

    def _meta(self, layout: list[list[Any]], *, indexed: bool) -> dict[str, Any]:
        return {
            "documents": [list(document._entry) for document in self._documents],
            "skipped": [list(pair) for pair in self._skipped],
            "layout": layout,
            "ascii": self._buffer.ascii,
            "indexed": indexed,
            "number": self._number,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        buffer = self._buffer
        buffers = (buffer.read(0, buffer.size), buffer.index.packed())
        return restored, (type(self), buffers, self._meta([], indexed=True), self._embedder)


def restored(
    kind: type[Context],
    buffers: Sequence[Any],
    meta: dict[str, Any],
    embedder: "Embedder | None" = None,
) -> Context:
    """A context from the buffers and the data of its parcel; the buffers are not copied.

    Args:
        kind: `Context` or a class of it.
        buffers: The text as UTF-8, or the parts that the layout puts together; then its index, if
            it is indexed.
        meta: The "documents", what was "skipped", the "layout", and whether it is "ascii" and
            "indexed".
        embedder: Searches it by meaning, if any.
    """
    parts, index = list(buffers), BlockIndex()
    if meta["indexed"]:
        last = parts.pop()
        index = BlockIndex.unpacked(getattr(last, "view", last))
    layout = [Stretch(parts[number], *rest) for number, *rest in meta["layout"]]
    context = kind(
        TextBuffer(Joined(layout) if layout else parts[0], index=index, ascii=meta["ascii"]),
        (Entry(*entry) for entry in meta["documents"]),
        (tuple(pair) for pair in meta["skipped"]),
    )
    context._embedder = embedder
    return context


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
