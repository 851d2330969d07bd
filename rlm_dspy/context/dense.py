"""Passages that mean what a question means, by the vectors of an embedding model; and both ways.

Each unit of a text (`units`, about 500 characters) is embedded once. The vectors lie in a file in
the cache folder, under the fingerprint of the text and of the model; one that was broken off is
taken up where it ended. A search reads them in blocks, so that memory stays bounded. Host only.

The two rankings are fused by their ranks: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion
outperforms Condorcet and individual Rank Learning Methods" (2009), with its constant 60.
"""

import fcntl
import hashlib
import logging
import os
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from heapq import nlargest
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from rlm_dspy.context.offsets import TextBuffer
from rlm_dspy.context.search import Found, Searcher, width_of
from rlm_dspy.context.units import units
from rlm_dspy.errors import ContextError
from rlm_dspy.settings import cache_dir

logger = logging.getLogger(__name__)

# A longer text would be embedded for hours on a processor; in bytes.
MOST_BYTES = 16 << 20
# Raised when what is written changes its form.
_FORMAT = 1
# Units that are embedded in one call, and rows that a search reads at once.
_EMBEDDED, _READ = 32, 1 << 14
# Vectors that nothing asked for so long are deleted when others are made; in seconds.
_UNUSED_SECONDS = 30 * 24 * 3600
_FUSION = 60

Section = tuple[int, int]


class Embedder(Protocol):
    """What gives texts their vectors, each of length 1.

    Attributes:
        key: What tells its vectors of passages from those of any other.
    """

    key: str

    def query(self, text: str) -> Sequence[float]:
        """The vector of a question."""
        ...

    def passages(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """The vectors of passages."""
        ...


class _Unit(NamedTuple):
    start: int
    end: int
    section: int


class DenseIndex:
    """A `Searcher` by meaning.

    Args:
        buffer: The text.
        sections: Ranges of characters, in order, that no passage leaves: the documents.
        embedder: Embeds its units, those that the cache folder does not have.

    Raises:
        ContextError: The text is too long, or its vectors cannot be kept.
    """

    def __init__(self, buffer: TextBuffer, sections: Sequence[Section], embedder: Embedder):
        if buffer.size > MOST_BYTES:
            raise ContextError(
                f"search: {buffer.chars:,} characters are too many to embed (at most "
                f"{MOST_BYTES >> 20} MiB). Search by='keywords', or give a part of the text.",
                chars=buffer.chars,
            )
        self._buffer = buffer
        self._embedder = embedder
        self._units = [
            _Unit(start, end, number)
            for number, section in enumerate(sections)
            for start, end, text in units(buffer, *section)
            if not text.isspace()
        ]
        home = cache_dir() / "dense"
        path = home / f"{_fingerprint(buffer, sections, embedder.key)}.f16"
        try:
            home.mkdir(parents=True, exist_ok=True)
            _prune(home)
            self._vectors = self._embedded(path)
        except OSError as error:
            raise ContextError(
                f"search: the vectors of {buffer.chars:,} characters cannot be kept in {home} "
                f"({error}). Make room there, or name another folder in RLM_CACHE_DIR.",
                path=str(home),
            ) from error

    def found(self, query: str, *, count: int, size: int, start: int, end: int) -> list[Found]:
        """As `Searcher.found`; a passage's score is the cosine of its best unit, its part that."""
        if not query.strip() or count < 1:
            return []
        width = width_of(size)
        best: list[Found] = []
        # A passage taken rules out its neighbours: no more than these can be needed.
        for score, number in self._ranked(query, (count + 1) * (2 * width + 1), start, end):
            low, high = self._passage(number, width)
            low, high = max(low, start), min(high, end)
            free = all(high <= taken.start or taken.end <= low for taken in best)
            if free and len(best) < count:
                unit = self._units[number]
                part = self._stripped(max(unit.start, low), min(unit.end, high))
                best.append(Found(*self._stripped(low, high), score, part))
        return best

    def _ranked(self, query: str, most: int, start: int, end: int) -> list[tuple[float, int]]:
        """The units that are nearest to a query within a range: score and number."""
        import numpy

        first = bisect_right(self._units, start, key=attrgetter("end"))
        stop = bisect_right(self._units, end - 1, key=attrgetter("start"))
        asked = numpy.asarray(self._embedder.query(query), dtype=numpy.float32)
        found: list[tuple[float, int]] = []
        for low in range(first, stop, _READ):
            rows = self._vectors[low : min(low + _READ, stop)].astype(numpy.float32)
            scores = (rows @ asked).tolist()
            numbers = range(low, low + len(scores))
            ranked = [*found, *zip(scores, numbers, strict=True)]
            found = nlargest(most, ranked, key=lambda each: (each[0], -each[1]))
        return found

    def _passage(self, number: int, width: int) -> tuple[int, int]:
        """The units around one, `width` in all as far as its section goes."""
        section = self._units[number].section
        first = last = number
        while last + 1 - first < width:
            before = first > 0 and self._units[first - 1].section == section
            behind = last + 1 < len(self._units) and self._units[last + 1].section == section
            if behind and (last - number <= number - first or not before):
                last += 1
            elif before:
                first -= 1
            else:
                break
        return self._units[first].start, self._units[last].end

    def _stripped(self, start: int, end: int) -> tuple[int, int]:
        text = self._buffer.text(start, end)
        start += len(text) - len(text.lstrip())
        return start, start + len(text.strip())

    def _embedded(self, path: Path) -> Any:
        """The vectors of all units as rows, from a file that is written as far as need be."""
        import numpy

        with path.open("ab+") as file:
            # Another process may be at it: it embeds each unit once.
            fcntl.flock(file, fcntl.LOCK_EX)
            dimensions = len(self._embedder.query("a"))
            self._complete(file, dimensions, numpy)
            os.utime(path)  # it is in use
        if not self._units:
            return numpy.empty((0, dimensions), dtype=numpy.float16)
        shape = (len(self._units), dimensions)
        return numpy.memmap(path, dtype=numpy.float16, mode="r", shape=shape)

    def _complete(self, file: BinaryIO, dimensions: int, numpy: Any) -> None:
        row = dimensions * numpy.dtype(numpy.float16).itemsize
        done = min(os.fstat(file.fileno()).st_size // row, len(self._units))
        file.truncate(done * row)  # a row that was broken off
        began, missing = time.monotonic(), self._units[done:]
        for group in _groups(missing):
            texts = [self._buffer.text(unit.start, unit.end).strip() for unit in group]
            rows = numpy.asarray(self._embedder.passages(texts), dtype=numpy.float16)
            file.write(rows.tobytes())
            file.flush()
        if missing:
            seconds = time.monotonic() - began
            chars = missing[-1].end - missing[0].start
            logger.info("Embedded %s characters in %.1f s", f"{chars:,}", seconds)


class Hybrid:
    """A `Searcher` by keywords and by meaning, fused by rank.

    Args:
        keywords: Finds by keywords.
        dense: Finds by meaning.
    """

    def __init__(self, keywords: Searcher, dense: Searcher):
        # Of two that lead one ranking each, the nearer in meaning is first: what has the question's
        # own words often leads both.
        self._searchers = (dense, keywords)

    def found(self, query: str, *, count: int, size: int, start: int, end: int) -> list[Found]:
        """As `Searcher.found`; a passage's score is the sum of 1 / (60 + its rank) in both."""
        fused: list[Found] = []
        for searcher in self._searchers:
            ranking = searcher.found(query, count=count, size=size, start=start, end=end)
            for rank, passage in enumerate(ranking, 1):
                score = 1 / (_FUSION + rank)
                same = next((n for n, each in enumerate(fused) if _alike(each, passage)), None)
                if same is None:
                    fused.append(passage._replace(score=score))
                else:
                    fused[same] = fused[same]._replace(score=fused[same].score + score)
        best: list[Found] = []
        for passage in sorted(fused, key=lambda each: -each.score):
            free = all(passage.end <= taken.start or taken.end <= passage.start for taken in best)
            if free and len(best) < count:
                best.append(passage)
        return best


def _alike(one: Found, other: Found) -> bool:
    """Whether two passages are mostly the same text."""
    shared = min(one.end, other.end) - max(one.start, other.start)
    return 2 * shared >= min(one.end - one.start, other.end - other.start)


def _groups(items: Sequence[_Unit]) -> Iterator[list[_Unit]]:
    rest = iter(items)
    while group := list(islice(rest, _EMBEDDED)):
        yield group


def _prune(home: Path) -> None:
    """Delete what nothing uses any more."""
    now = time.time()
    for path in home.iterdir():
        if now - path.stat().st_mtime > _UNUSED_SECONDS:
            path.unlink(missing_ok=True)


def _fingerprint(buffer: TextBuffer, sections: Sequence[Section], key: str) -> str:
    """What tells the vectors of this text by this model from any others."""
    digest = hashlib.blake2b(f"{_FORMAT} {sections} {key}".encode(), digest_size=16)
    for _, piece in buffer.pieces(0, buffer.size):
        digest.update(piece)
    return digest.hexdigest()
