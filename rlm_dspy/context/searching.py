"""Which way a text is searched: by words in memory, by an index on disk, or by asking the host.

A context that has an embedder is searched by meaning too, always on the host (`dense`).

A short text has its words in memory, wherever it is. A long one has an index in the cache folder,
which a worker cannot open: there, each search is a call of the host, which answers with places
alone. Where tantivy (the extra `search`) is not installed, texts of up to 64 MB are searched in
memory all the same, and longer ones not at all.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from rlm_dspy import wire
from rlm_dspy.context.offsets import TextBuffer
from rlm_dspy.context.search import Found, Searcher, SearchIndex
from rlm_dspy.errors import ContextError

if TYPE_CHECKING:
    from rlm_dspy.context.dense import Embedder

By = Literal["keywords", "dense", "hybrid"]

# Up to this size in bytes a text is searched in memory: it takes a second, and 50 MB.
SHORT_BYTES = 8 << 20
_LONGEST_IN_MEMORY = 64 << 20
_LONGEST_QUERY = 20_000


def searcher_of(
    buffer: TextBuffer, sections: Sequence[tuple[int, int]], *, threads: int
) -> Searcher:
    """What searches a text on the host.

    Args:
        buffer: The text.
        sections: Ranges of characters, in order, that no passage leaves: the documents.
        threads: How many may make an index.

    Raises:
        ContextError: It is too long to be searched without an index, or none can be made.
    """
    if buffer.size <= SHORT_BYTES:
        return SearchIndex.of(buffer, sections)
    try:
        from rlm_dspy.context.large import large_index
    except ImportError:
        return in_memory(buffer, sections)
    return large_index(buffer, sections, threads=threads)


def chosen(by: Any, *, embedded: bool) -> By:
    """How a text is searched.

    Args:
        by: What a caller says; None: "hybrid" where there is an embedder, else "keywords".
        embedded: Whether there is one.

    Raises:
        ContextError: There is no such way, or it needs an embedder.
    """
    if by is None:
        return "hybrid" if embedded else "keywords"
    if by not in get_args(By):
        raise ContextError(f"search: by={by!r} must be one of {', '.join(get_args(By))}.", by=by)
    if by != "keywords" and not embedded:
        raise ContextError(
            f"search: by={by!r} needs an embedding model, and this context has none; search "
            "by='keywords'. The program that made it can give it one: "
            "context.with_embedder(Embedder(...)).",
            by=by,
        )
    return by


def dense_searcher(
    by: By,
    keywords: Callable[[], Searcher],
    buffer: TextBuffer,
    sections: Sequence[tuple[int, int]],
    embedder: "Embedder",
) -> Searcher:
    """What searches a text by meaning, or both ways.

    Args:
        by: "dense" or "hybrid".
        keywords: Gives what searches it by keywords.
        buffer: The text.
        sections: As for `searcher_of`.
        embedder: Gives texts their vectors.

    Raises:
        ContextError: The text is too long for it.
    """
    from rlm_dspy.context.dense import DenseIndex, Hybrid

    dense = DenseIndex(buffer, sections, embedder)
    return dense if by == "dense" else Hybrid(keywords(), dense)


def in_memory(buffer: TextBuffer, sections: Sequence[tuple[int, int]]) -> SearchIndex:
    """What searches a text without an index on disk.

    Raises:
        ContextError: The text is too long for it.
    """
    if buffer.size > _LONGEST_IN_MEMORY:
        raise ContextError(
            f"search: {buffer.chars:,} characters are too many to search without an index. Install "
            "the extra search: pip install 'rlm-dspy-runtime[search]'; or use grep.",
            chars=buffer.chars,
        )
    return SearchIndex.of(buffer, sections)


class HostSearcher:
    """A `Searcher` in a worker: the host searches.

    Args:
        name: The function of the host, from `answering`.
        by: How it searches.
    """

    def __init__(self, name: str, by: By):
        self._name = name
        self._by = by

    def found(self, query: str, *, count: int, size: int, start: int, end: int) -> list[Found]:
        """As `Searcher.found`."""
        assert wire.call_host is not None
        answer = wire.call_host(self._name, [query, count, size, start, end, self._by], {})
        if "error" in answer:
            raise ContextError(answer["error"])
        return [
            Found(low, high, score, (first, last))
            for low, high, score, first, last in answer["found"]
        ]


def answering(searcher: Callable[[Any], Searcher], length: int) -> Callable[..., dict[str, Any]]:
    """The function that searches for a worker; what it is called with is not trusted.

    Args:
        searcher: Gives what searches the text in a way that it is told, or refuses.
        length: The characters of the text.
    """

    def search(query: Any, count: Any, size: Any, start: Any, end: Any, by: Any) -> dict[str, Any]:
        numbers = (count, size, start, end)
        if type(query) is not str or not all(type(number) is int for number in numbers):
            return {"error": "search: text must be a str, and k and size whole numbers."}
        if len(query) > _LONGEST_QUERY:
            return {"error": f"search: text has more than {_LONGEST_QUERY:,} characters."}
        start, end = max(start, 0), min(end, length)
        try:
            found = searcher(by).found(query, count=count, size=size, start=start, end=end)
        except ContextError as error:
            return {"error": error.message}
        return {"found": [[*passage[:3], *passage.part] for passage in found]}

    return search
