"""Which words are in which unit of a long text, in an index on disk, by tantivy.

Nothing of the text is kept there. Every unit is a document with its number; its words are those of
`words`: what tantivy cuts in the same way is left to it, which does so in other threads.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import tantivy

from rlm_dspy.context.words import cut_alike

# Gathered in memory, over all threads, before a part of the index is written; in bytes.
_HEAP_BYTES = 128 << 20
_MOST_THREADS = 8
_WORDS, _NUMBER = "words", "number"


def write(texts: Iterable[str], folder: Path, *, threads: int) -> None:
    """Make the index of units.

    Args:
        texts: The text of each, in order.
        folder: Empty.
        threads: How many may work.

    Raises:
        OSError, ValueError: It cannot be written.
    """
    schema = tantivy.SchemaBuilder()
    schema.add_text_field(_WORDS, tokenizer_name=_WORDS, index_option="freq")
    schema.add_unsigned_field(_NUMBER, fast=True)
    index = tantivy.Index(schema.build(), path=str(folder))
    analyzer = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    index.register_tokenizer(_WORDS, analyzer.filter(tantivy.Filter.lowercase()).build())
    writer = index.writer(_HEAP_BYTES, max(1, min(threads, _MOST_THREADS)))
    for number, text in enumerate(texts):
        document = tantivy.Document()
        document.add_text(_WORDS, cut_alike(text))
        document.add_unsigned(_NUMBER, number)
        writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()


class Engine:
    """An index that was written.

    Args:
        folder: Where it lies.

    Raises:
        OSError, ValueError: It is not there, or broken.
    """

    def __init__(self, folder: Path):
        index = tantivy.Index.open(str(folder))
        index.config_reader("manual")  # it never changes
        self._schema = index.schema
        self._searcher = index.searcher()

    def units_with(self, word: str) -> int:
        """How many units have a word."""
        return self._searcher.doc_freq(_WORDS, word)

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
        hits = self._searcher.search(found, count, count=False).hits
        numbers = self._searcher.fast_field_values(_NUMBER, [address for _, address in hits])
        return [int(number) for number in numbers if number is not None]

    def _weighted(self, word: str, weight: float) -> tantivy.Query:
        term = tantivy.Query.term_query(self._schema, _WORDS, word, "freq")
        return tantivy.Query.boost_query(term, weight)
