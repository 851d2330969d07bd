"""Passages ranked by the words they share with a question: BM25 in plain Python.

The text is cut into units of about 500 characters at line, sentence or word ends, never across
documents; a passage is a run of neighbouring units, and passages start at every unit, so that a
fact and the words around it are together in one of them. Rare words dominate: a word's weight is
the square of BM25's. Case is ignored, a plural finds its singular and the other way round, a
possessive its noun; Chinese and Japanese characters count as words.

It promises a build of about a second and queries of some milliseconds on 5 MB, and memory of a few
times the text; not more: `large` ranks the few units that an engine chose from a longer text. BM25:
Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), with its
usual k1 = 1.2 and b = 0.75.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from heapq import nlargest
from itertools import accumulate, chain
from math import log
from operator import itemgetter
from typing import NamedTuple, Protocol

from rlm_dspy.context.excerpts import telling_part
from rlm_dspy.context.offsets import TextBuffer
from rlm_dspy.context.units import UNIT_CHARS, Unit, units
from rlm_dspy.context.words import forms, placed_words, words

PASSAGE_CHARS = 1000
# What is kept around the rarest words of the query in a passage, and how many words those are.
_MARGIN_CHARS, _FRAMED_WORDS = 200, 3
_K1, _B = 1.2, 0.75
# A passage that scores less than this share of the best lacks the rarest words of the query. Shown
# beside the best it misleads: a 0.5B planner then copied from it in 7 of 12 look-ups.
_LEAST_SHARE = 0.5
# The rarest words of a query that always count, and the occurrences up to which further ones do.
_ALWAYS_RANKED, _RANKED_OCCURRENCES = 3, 50_000


class Found(NamedTuple):
    """A passage that was found; all places are characters of the whole text.

    Attributes:
        start: Where it starts.
        end: Where it ends.
        score: How well it fits; higher is better.
        part: The stretch of it that says most: where it starts and ends.
    """

    start: int
    end: int
    score: float
    part: tuple[int, int]


class Searcher(Protocol):
    """Finds passages of one text."""

    def found(self, query: str, *, count: int, size: int, start: int, end: int) -> list[Found]:
        """The best passages for a query, best first, none overlapping.

        Args:
            query: Words, in any form.
            count: The most passages returned.
            size: Characters a passage has, about.
            start: Only what lies from here …
            end: … up to here.
        """
        ...


class Statistics(Protocol):
    """How often words are in a text, where the index holds a part of it only.

    Attributes:
        units: The units of the whole text.
        mean_words: The words that a unit has, on average.
    """

    units: int
    mean_words: float

    def occurrences(self, word: str) -> int:
        """About how many units have a word in one of its forms."""
        ...


class SearchIndex:
    """Which words are in which unit of a text; a `Searcher`.

    Args:
        buffer: The text.
        sections: The units of each range that no passage leaves, in order.
        whole: What is known of the whole text; None: the sections are the whole text.
        among: The only words that are asked for; None: any may be.
    """

    def __init__(
        self,
        buffer: TextBuffer,
        sections: Iterable[Iterable[Unit]],
        whole: Statistics | None = None,
        among: frozenset[str] | None = None,
    ):
        self._buffer = buffer
        self._units: list[tuple[int, int]] = []
        self._lengths: list[int] = []
        self._section: list[int] = []
        self._section_units: list[tuple[int, int]] = []
        self._postings: defaultdict[str, list[int]] = defaultdict(list)
        for number, section in enumerate(sections):
            first = len(self._units)
            for low, high, text in section:
                self._add(low, high, number, words(text), among)
            self._section_units.append((first, len(self._units)))
        self._widths: dict[int, tuple[list[tuple[int, ...]], list[float]]] = {}
        self._whole = whole
        self._count = whole.units if whole else len(self._units)
        mean = whole.mean_words if whole else sum(self._lengths) / max(len(self._lengths), 1)
        self._mean = max(mean, 1.0)

    @classmethod
    def of(cls, buffer: TextBuffer, sections: Iterable[tuple[int, int]]) -> "SearchIndex":
        """The index of a whole text.

        Args:
            buffer: The text.
            sections: Ranges of characters, in order, that no passage leaves: the documents.
        """
        index = cls(buffer, (units(buffer, start, end) for start, end in sections))
        index._passages(width_of(PASSAGE_CHARS))
        return index

    def _add(
        self, start: int, end: int, section: int, found: list[str], among: frozenset[str] | None
    ) -> None:
        unit, postings = len(self._units), self._postings
        for word in found if among is None else filter(among.__contains__, found):
            postings[word].append(unit)
        self._units.append((start, end))
        self._section.append(section)
        self._lengths.append(len(found))

    def found(self, query: str, *, count: int, size: int, start: int, end: int) -> list[Found]:
        """As `Searcher.found`."""
        weight, base = self._rarities(query)
        passages = []
        for low, high, score in self._ranked(query, count, width_of(size), (start, end)):
            text = self._buffer.text(low, high)
            low += len(text) - len(text.lstrip())
            text = text.strip()
            first, last = telling_part(text, weight, base)
            passages.append(Found(low, low + len(text), score, (low + first, low + last)))
        return passages

    def _ranked(
        self, query: str, count: int, width: int, within: tuple[int, int]
    ) -> list[tuple[int, int, float]]:
        """The best passages within a range: start, end and score, best first, none overlapping."""
        start, end = within
        wanted = set().union(*(forms(word) for word in words(query)))
        begin = bisect_right(self._units, start, key=itemgetter(1)) - width + 1
        stop = bisect_left(self._units, end, key=itemgetter(0))
        found = (
            (score, -first)
            for first, score in self._scores(query, width).items()
            if begin <= first < stop
        )
        best: list[tuple[int, int, float]] = []
        # A passage taken rules out its overlapping neighbours: no more than these can be needed.
        for score, first in nlargest((count + 1) * (2 * width - 1), found):
            place = self._framed(-first, self._stop(-first, width), query)
            low = max(self._units[place[0]][0], start)
            high = min(self._units[place[1] - 1][1], end)
            if best and score < best[0][2] * _LEAST_SHARE:
                break
            free = all(high <= a or b <= low for a, b, _ in best)
            if len(best) < count and low < high and free and self._has(place, low, high, wanted):
                best.append((low, high, score))
        return best

    def _has(self, place: tuple[int, int], low: int, high: int, wanted: set[str]) -> bool:
        """Whether what of a passage lies within the range has a word of the query itself."""
        if (low, high) == (self._units[place[0]][0], self._units[place[1] - 1][1]):
            return True
        return any(word in wanted for _, word in placed_words(self._buffer.text(low, high)))

    def _framed(self, first: int, stop: int, query: str) -> tuple[int, int]:
        """Units `first` up to `stop` moved so that what follows a word of the query is not cut off.

        The rarest words of the query that are there get a margin on both sides; where that leaves
        room, units are added at the nearer end. It can be a unit or two longer than it was.
        """
        low, high = self._section_units[self._section[first]]
        begin = self._units[first][0]
        wanted = self._rarest_forms(query)
        text = self._buffer.text(begin, self._units[stop - 1][1])
        places = [begin + at for at, word in placed_words(text) if word in wanted]
        if not places:
            return first, stop
        one = max(self._unit_at(places[0] - _MARGIN_CHARS), low)
        last = min(self._unit_at(places[-1] + _MARGIN_CHARS), high - 1)
        while last + 1 - one < min(stop - first, high - low):
            nearer = places[0] - self._units[one][0] <= self._units[last][1] - places[-1]
            if one > low and (nearer or last + 1 == high):
                one -= 1
            else:
                last += 1
        return one, last + 1

    def _occurrences(self, word: str) -> int:
        if self._whole:
            return self._whole.occurrences(word)
        return sum(len(self._postings.get(form, ())) for form in forms(word))

    def _rarities(self, query: str) -> tuple[dict[str, float], dict[str, str]]:
        """The words of a query with their rarity, and each of their forms with its word."""
        weight, base = {}, {}
        for word in set(words(query)):
            number = self._occurrences(word)
            weight[word] = log(1 + self._count / number) if number else 0.0
            base |= dict.fromkeys(forms(word), word)
        return weight, base

    def _rarest_forms(self, query: str) -> set[str]:
        """The rarest words of a query that are anywhere in the text, in all their forms."""
        ranked = sorted(
            (occurrences, word)
            for word in set(words(query))
            if (occurrences := self._occurrences(word))
        )
        return set().union(*(forms(word) for _, word in ranked[:_FRAMED_WORDS]))

    def _unit_at(self, char: int) -> int:
        return bisect_right(self._units, char, key=itemgetter(0)) - 1

    def _stop(self, first: int, width: int) -> int:
        """The unit behind the passage that starts at a unit."""
        return min(first + width, self._section_units[self._section[first]][1])

    def _scores(self, query: str, width: int) -> dict[int, float]:
        """Each passage of `width` units that has a word of the query, by first unit: its score."""
        members, damping = self._passages(width)
        scores: defaultdict[int, float] = defaultdict(float)
        most = None if self._whole else _RANKED_OCCURRENCES
        for word in ranked_words(query, self._occurrences, most):
            units = chain.from_iterable(self._postings.get(form, ()) for form in forms(word))
            often = Counter(chain.from_iterable(map(members.__getitem__, units)))
            number = (
                min(self._occurrences(word) * width, self._count) if self._whole else len(often)
            )
            rarity = log(1 + (self._count - number + 0.5) / (number + 0.5))
            weight = rarity**2 * (_K1 + 1)
            for first, times in often.items():
                scores[first] += weight * times / (times + damping[first])
        return scores

    def _passages(self, width: int) -> tuple[list[tuple[int, ...]], list[float]]:
        """For each unit the passages that it is in, and each passage's BM25 length term."""
        if width not in self._widths:
            members: list[tuple[int, ...]] = []
            damping: list[float] = []
            for low, high in self._section_units:
                for unit in range(low, high):
                    last = max(low, min(unit, high - width))
                    members.append(tuple(range(max(low, min(unit - width + 1, last)), last + 1)))
                    length = sum(self._lengths[unit : min(unit + width, high)]) / width
                    damping.append(_K1 * (1 - _B + _B * length / self._mean))
            # A caller that tries many sizes must not fill the memory with them.
            self._widths = {width: (members, damping)}
        return self._widths[width]


def ranked_words(query: str, occurrences: Callable[[str], int], most: int | None) -> list[str]:
    """The words of a query that are in the text, rarest first.

    Args:
        query: Words.
        occurrences: How often a word is in the text.
        most: Words after the first few are left out once all together are more often there: they
            would only cost time. None: no word is left out.
    """
    often = {word: occurrences(word) for word in dict.fromkeys(words(query))}
    rarest = sorted(filter(often.get, often), key=often.__getitem__)
    totals = accumulate(often[word] for word in rarest)
    return [
        word
        for number, (word, total) in enumerate(zip(rarest, totals, strict=True))
        if number < _ALWAYS_RANKED or most is None or total <= most
    ]


def width_of(size: int) -> int:
    """How many units a passage of about `size` characters has."""
    return max(1, round(size / UNIT_CHARS))
