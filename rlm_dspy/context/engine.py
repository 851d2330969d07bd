"""Which words are in which unit of a long text, in an index on disk, by tantivy.

Nothing of the text is kept there. A very long text has several indexes, which bounds the memory
that merging the parts of one takes; they are asked one after the other. Every unit is a document
with its number; its words are those of `words`: what tantivy cuts in the same way is left to it,
which does so in other threads.
"""

from collections.abc import Iterable, Iterator, Mapping
from heapq import nlargest
from itertools import chain, islice
from pathlib import Path

import tantivy

from rlm_dspy.context.words import cut_alike

# Gathered in memory, over all threads, before a part of the index is written; in bytes.
_HEAP_BYTES = 128 << 20
_MOST_THREADS = 8
# Units of one index, about 1.5 GB of text.
_MOST_UNITS = 3_000_000
_WORDS, _NUMBER = "words", "number"


def write(texts: Iterable[str], folder: Path, *, threads: int) -> int:
    """Make the indexes of units.

    Args:
        texts: The text of each, in order.
        folder: Where they are made, each in a folder of its own.
        threads: How many may work.

    Returns:
        How many indexes they are.

    Raises:
        OSError, ValueError: One cannot be written.
    """
    coming, made = enumerate(texts), 0
    for first in coming:
        _write_one(chain([first], islice(coming, _MOST_UNITS - 1)), _place(folder, made), threads)
        made += 1
    return made


def _place(folder: Path, number: int) -> Path:
    return folder / f"part-{number}"


def _write_one(texts: Iterator[tuple[int, str]], folder: Path, threads: int) -> None:
    folder.mkdir()
    schema = tantivy.SchemaBuilder()
    schema.add_text_field(_WORDS, tokenizer_name=_WORDS, index_option="freq")
    schema.add_unsigned_field(_NUMBER, fast=True)
    index = tantivy.Index(schema.build(), path=str(folder))
    analyzer = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    index.register_tokenizer(_WORDS, analyzer.filter(tantivy.Filter.lowercase()).build())
    writer = index.writer(_HEAP_BYTES, max(1, min(threads, _MOST_THREADS)))
    for number, text in texts:
        document = tantivy.Document()
        document.add_text(_WORDS, cut_alike(text))
        document.add_unsigned(_NUMBER, number)
        writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()


class Engine:
    """The indexes that were written.

    Args:
        folder: Where they lie.
        count: How many they are.

    Raises:
        OSError, ValueError: One is not there, or broken.
    """

    def __init__(self, folder: Path, count: int):
        indexes = [tantivy.Index.open(str(_place(folder, number))) for number in range(count)]
        for index in indexes:
            index.config_reader("manual")  # it never changes
        self._schema = indexes[0].schema
        self._searchers = [index.searcher() for index in indexes]

    def units_with(self, word: str) -> int:
        """How many units have a word."""
        return sum(searcher.doc_freq(_WORDS, word) for searcher in self._searchers)

    def best_units(
        self, weights: Mapping[str, float], count: int, within: tuple[int, int] | None
    ) -> list[int]:
        """The numbers of the units that score best, by BM25, in no particular order.

        Args:
            weights: Words, each with what multiplies its score.
            count: The most units returned.
            within: Only units from this number up to that one; None: all.
        """
        query = tantivy.Query
        found = query.boolean_query(
            [(tantivy.Occur.Should, self._weighted(word, weights[word])) for word in weights]
        )
        if within is not None:
            low, high = within
            number = query.range_query(
                self._schema, _NUMBER, tantivy.FieldType.Unsigned, low, high, include_upper=False
            )
            bounds = query.const_score_query(number, 0.0)
            found = query.boolean_query([(tantivy.Occur.Must, found), (tantivy.Occur.Must, bounds)])
        scored = chain.from_iterable(
            _scored(searcher, found, count) for searcher in self._searchers
        )
        return [number for _, number in nlargest(count, scored)]

    def _weighted(self, word: str, weight: float) -> tantivy.Query:
        term = tantivy.Query.term_query(self._schema, _WORDS, word, "freq")
        return tantivy.Query.boost_query(term, weight)


def _scored(
    searcher: tantivy.Searcher, query: tantivy.Query, count: int
) -> Iterator[tuple[float, int]]:
    """The units of one index that score best, each with its score."""
    hits = searcher.search(query, count, count=False).hits
    numbers = searcher.fast_field_values(_NUMBER, [address for _, address in hits])
    for (score, _), number in zip(hits, numbers, strict=True):
        if score is not None and number is not None:
            yield float(score), int(number)
