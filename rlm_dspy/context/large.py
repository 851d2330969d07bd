"""Passages of a text that is too long to hold its words in memory.

The words of its units lie in an index in the cache folder, under the fingerprint of the text: made
at the first search, used as long as the text is the same. The engine chooses some hundreds of units
for a query, and `SearchIndex` ranks the passages around them, as it ranks those of a short text.
"""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import struct
import tempfile
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby, pairwise
from math import log
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

from rlm_dspy.context.engine import Engine, write
from rlm_dspy.context.offsets import TextBuffer
from rlm_dspy.context.search import Found, SearchIndex, ranked_words, width_of
from rlm_dspy.context.units import Unit, units
from rlm_dspy.context.words import forms, words
from rlm_dspy.errors import ContextError
from rlm_dspy.settings import cache_dir
from rlm_dspy.shared import Joined, PinnedFile, Stretch

logger = logging.getLogger(__name__)

# Raised when what is written changes its form.
_FORMAT = 2
# Units that are ranked for a query, about.
_RANKED_UNITS = 1200
# The engine is not asked for words that are more often there, beyond the rarest few.
_ASKED_OCCURRENCES = 500_000
_START_BYTES = 8
# One unit of so many tells how many words a unit has on average.
_SAMPLED = 16
_UNFINISHED = "unfinished-"
_DAY = 24 * 3600
# An index that nothing asked for so long is deleted when another one is made; in seconds.
_UNUSED_SECONDS = 30 * _DAY

Section = tuple[int, int]


def large_index(buffer: TextBuffer, sections: Sequence[Section], *, threads: int) -> "LargeIndex":
    """The index of a text, made where there is none yet.

    Args:
        buffer: The text.
        sections: Ranges of characters, in order, that no passage leaves: the documents.
        threads: How many may make it.

    Raises:
        ContextError: It cannot be written, or the text changed meanwhile.
    """
    home = cache_dir() / "search"
    folder = home / _fingerprint(buffer, sections)
    try:
        if folder.exists():
            with contextlib.suppress(OSError, ValueError):
                return LargeIndex(buffer, sections, folder)
            shutil.rmtree(folder)  # it is broken
        home.mkdir(parents=True, exist_ok=True)
        _prune(home)
        _make(buffer, sections, folder, threads)
        return LargeIndex(buffer, sections, folder)
    except ContextError:
        raise
    except (OSError, ValueError) as error:
        raise ContextError(
            f"search: the index of {buffer.chars:,} characters cannot be kept in {home} ({error}). "
            "Make room there, or name another folder in RLM_CACHE_DIR; grep needs no index.",
            path=str(home),
        ) from error


class LargeIndex:
    """A `Searcher` over an index on disk; also the `Statistics` of the whole text.

    Args:
        buffer: The text.
        sections: As for `large_index`.
        folder: Where the index lies.

    Raises:
        OSError, ValueError: It is broken.
    """

    def __init__(self, buffer: TextBuffer, sections: Sequence[Section], folder: Path):
        described = json.loads((folder / "index.json").read_text())
        with contextlib.suppress(OSError):  # where it cannot be written to
            os.utime(folder)  # it is in use
        self._buffer = buffer
        self._sections = sections
        self._engine = Engine(folder, described["parts"])
        self._starts = _Starts(PinnedFile.open(folder / "starts"))
        self.units = len(self._starts)
        self.mean_words: float = described["mean_words"]
        self._units_with = lru_cache(maxsize=1000)(self._engine.units_with)

    def occurrences(self, word: str) -> int:
        """As `Statistics.occurrences`."""
        return sum(map(self._units_with, forms(word)))

    def found(self, query: str, *, count: int, size: int, start: int, end: int) -> list[Found]:
        """As `Searcher.found`."""
        width = width_of(size)
        radius = width + 1  # a passage may be moved by a unit
        asked = ranked_words(query, self.occurrences, _ASKED_OCCURRENCES)
        if not asked or start >= end:
            return []
        # BM25 multiplies by a word's rarity once; passages are ranked by its square.
        weights = {
            form: log(1 + self.units / self.occurrences(word))
            for word in asked
            for form in forms(word)
        }
        most = max(2 * count, _RANKED_UNITS // (2 * radius + 1))
        chosen = self._engine.best_units(weights, most, self._within(start, end))
        runs = map(self._read, self._runs(sorted(chosen), radius))
        among = frozenset().union(*map(forms, words(query)))
        ranking = SearchIndex(self._buffer, runs, whole=self, among=among)
        return ranking.found(query, count=count, size=size, start=start, end=end)

    def _within(self, start: int, end: int) -> tuple[int, int] | None:
        """The units in a range of characters; None where they are all."""
        low = max(bisect_right(self._starts, start) - 1, 0)
        high = bisect_left(self._starts, end)
        return None if (low, high) == (0, self.units) else (low, high)

    def _runs(self, chosen: Sequence[int], radius: int) -> Iterator[list[int]]:
        """The chosen units with those around them, as runs of neighbours in one section.

        Yields:
            Where the units of a run start, and where the last one ends, in characters.
        """
        numbers: list[list[int]] = []
        for unit in chosen:
            low, high = max(unit - radius, 0), min(unit + radius + 1, self.units)
            if numbers and low <= numbers[-1][1]:
                numbers[-1][1] = high
            else:
                numbers.append([low, high])
        for low, high in numbers:
            starts, at = self._starts.between(low, high + 1), 0
            for section, group in groupby(starts[: high - low], self._section_at):
                run = list(group)
                at += len(run)
                end = self._sections[section][1]
                yield [*run, min(starts[at], end) if at < len(starts) else end]

    def _section_at(self, char: int) -> int:
        return bisect_right(self._sections, char, key=itemgetter(0)) - 1

    def _read(self, bounds: Sequence[int]) -> Iterator[Unit]:
        text = self._buffer.text(bounds[0], bounds[-1])
        for start, end in pairwise(bounds):
            yield start, end, text[start - bounds[0] : end - bounds[0]]


class _Starts:
    """Where the units start, in characters, read from a file."""

    def __init__(self, file: PinnedFile):
        self._file = file

    def __len__(self) -> int:
        return self._file.size // _START_BYTES

    def __getitem__(self, number: int) -> int:
        return self.between(number, number + 1)[0]

    def between(self, low: int, high: int) -> list[int]:
        """Those of the units `low` up to `high`; what lies behind the end is left out."""
        data = self._file.read(low * _START_BYTES, high * _START_BYTES)
        return list(struct.unpack(f"<{len(data) // _START_BYTES}Q", data))


def _make(buffer: TextBuffer, sections: Sequence[Section], folder: Path, threads: int) -> None:
    began = time.monotonic()
    work = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder.parent))
    try:
        with (work / "starts").open("wb") as file:
            cut = _Cut(buffer, sections, file)
            parts = write(cut.texts(), work, threads=threads)
        about = {"mean_words": cut.mean_words, "parts": parts}
        (work / "index.json").write_text(json.dumps(about))
        size = sum(each.stat().st_size for each in work.rglob("*"))
        try:
            work.rename(folder)
        except OSError:
            if not folder.exists():  # else another process or thread was sooner
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    seconds = time.monotonic() - began
    logger.info(
        "Indexed %s characters for search in %.1f s (%.1f MB/s); the index has %.0f MB, in %s",
        f"{buffer.chars:,}",
        seconds,
        buffer.size / 1e6 / seconds,
        size / 1e6,
        folder,
    )


class _Cut:
    """The units of a text, each one's start written to a file as they come."""

    def __init__(self, buffer: TextBuffer, sections: Sequence[Section], file: BinaryIO):
        self._buffer = buffer
        self._sections = sections
        self._file = file
        self._sampled = self._words = 0

    def texts(self) -> Iterator[str]:
        number = 0
        for section in self._sections:
            for start, _, text in units(self._buffer, *section):
                self._file.write(start.to_bytes(_START_BYTES, "little"))
                if number % _SAMPLED == 0:
                    self._sampled += 1
                    self._words += len(words(text))
                number += 1
                yield text

    @property
    def mean_words(self) -> float:
        return self._words / max(self._sampled, 1)


def _prune(home: Path) -> None:
    """Delete what nothing uses any more."""
    now = time.time()
    for folder in home.iterdir():
        kept = _DAY if folder.name.startswith(_UNFINISHED) else _UNUSED_SECONDS
        if now - folder.stat().st_mtime > kept:
            shutil.rmtree(folder, ignore_errors=True)


def _fingerprint(buffer: TextBuffer, sections: Sequence[Section]) -> str:
    """What tells this text from any other: where it is in files, these and their times."""
    data = buffer.data
    digest = hashlib.blake2b(f"{_FORMAT} {len(sections)}".encode(), digest_size=16)
    for section in sections:
        digest.update(f" {section}".encode())
    stretches = data.stretches if isinstance(data, Joined) else [Stretch(data, 0, buffer.size)]
    at = 0
    for shared, start, size in stretches:
        status = os.fstat(shared.number) if isinstance(shared, PinnedFile) else None
        if status is not None and status.st_nlink:
            identity = (status.st_dev, status.st_ino, shared.stamp, start, size)
            digest.update(f" {identity}".encode())
        else:
            for _, piece in buffer.pieces(at, at + size):
                digest.update(piece)
        at += size
    return digest.hexdigest()
