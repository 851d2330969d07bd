"""Passages ranked by the words they share with a question: BM25 in plain Python.

The text is cut into units of about 500 characters at line, sentence or word ends, never across
documents; a passage is a run of neighbouring units, and passages start at every unit, so that a
fact and the words around it are together in one of them. Rare words dominate: a word's weight is
the square of BM25's. Case is ignored, a plural finds its singular and the other way round, a
possessive its noun; Chinese and Japanese characters count as words.

It promises a build of about a second and queries of some milliseconds on 5 MB, and memory of a few
times the text; not more. BM25: Robertson and Zaragoza, "The Probabilistic Relevance Framework:
BM25 and Beyond" (2009), with its usual k1 = 1.2 and b = 0.75.
"""

import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from heapq import nlargest
from itertools import accumulate, chain
from math import log
from operator import itemgetter

from rlm_dspy.context.offsets import TextBuffer
from rlm_dspy.context.words import forms, placed_words, words

PASSAGE_CHARS = 1000
# How much of a passage is shown where a list of them is printed.
SNIPPET_CHARS = 240
_UNIT_CHARS = 500
# What is kept around the rarest words of the query in a passage, and how many words those are.
_MARGIN_CHARS, _FRAMED_WORDS = 200, 3
_K1, _B = 1.2, 0.75
# A passage that scores less than this share of the best lacks the rarest words of the query. Shown
# beside the best it misleads: a 0.5B planner then copied from it in 7 of 12 look-ups.
_LEAST_SHARE = 0.5
# The rarest words of a query that always count, and the occurrences up to which further ones do.
_ALWAYS_RANKED, _RANKED_OCCURRENCES = 3, 50_000
_SENTENCE_END = re.compile(r"[.!?][\"')\]”’]*\s+|[。！？]")
_SPACE = re.compile(r"\s")


class SearchIndex:
    """Which words are in which unit of a text.

    Args:
        buffer: The text.
        sections: Ranges of characters, in order, that no passage leaves: the documents.
    """

    def __init__(self, buffer: TextBuffer, sections: Iterable[tuple[int, int]]):
        self._buffer = buffer
        self._units: list[tuple[int, int]] = []
        self._lengths: list[int] = []
        self._section: list[int] = []
        self._section_units: list[tuple[int, int]] = []
        self._postings: defaultdict[str, list[int]] = defaultdict(list)
        for number, (start, end) in enumerate(sections):
            first = len(self._units)
            for low, high, text in _units(buffer, start, end):
                self._add(low, high, number, words(text))
            self._section_units.append((first, len(self._units)))
        self._widths: dict[int, tuple[list[tuple[int, ...]], list[float]]] = {}
        self._mean = max(sum(self._lengths) / max(len(self._lengths), 1), 1.0)
        self._passages(_width(PASSAGE_CHARS))

    def _add(self, start: int, end: int, section: int, found: list[str]) -> None:
        unit, postings = len(self._units), self._postings
        for word in found:
            postings[word].append(unit)
        self._units.append((start, end))
        self._section.append(section)
        self._lengths.append(len(found))

    def ranked(
        self, query: str, *, count: int, size: int, start: int, end: int
    ) -> list[tuple[int, int, float]]:
        """The best passages for a query: start, end and score, best first, none overlapping.

        Args:
            query: Words, in any form.
            count: The most passages returned.
            size: Characters a passage has, about.
            start: Only what lies from here …
            end: … up to here.
        """
        width = _width(size)
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
            if len(best) < count and low < high and free:
                best.append((low, high, score))
        return best

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

    def telling_part(self, low: int, high: int, query: str) -> tuple[int, int]:
        """The stretch of a passage that says most about a query's words: where it starts and ends.

        It is at most `SNIPPET_CHARS` characters, and begins with a sentence if one is near.
        """
        if high - low <= SNIPPET_CHARS:
            return low, high
        text = self._buffer.text(low, high)
        weight, base = self._rarities(query)
        placed = [(at, base[word]) for at, word in placed_words(text) if word in base]
        best, first, last = 0.0, 0, 0
        for index, (start, _) in enumerate(placed):
            # Each word once: what repeats a common word says no more for it.
            stop = bisect_left(placed, start + SNIPPET_CHARS - 40, index, key=itemgetter(0))
            within = placed[index:stop]
            score = sum(weight[word] for word in {word for _, word in within})
            if score > best:
                heavy = max(weight[word] for _, word in within) / 2
                telling = [at for at, word in within if weight[word] >= heavy]
                best, first, last = score, telling[0], telling[-1]
        begin = _sentence_start(text, first, last - SNIPPET_CHARS * 2 // 3)
        end = min(begin + SNIPPET_CHARS, len(text))
        if end < len(text):
            end = max(text.rfind(" ", last + 1, end), last + 1) if " " in text[last:end] else end
        return low + begin, low + end

    def _rarities(self, query: str) -> tuple[dict[str, float], dict[str, str]]:
        """The words of a query with their rarity, and each of their forms with its word."""
        weight, base = {}, {}
        for word in set(words(query)):
            number = sum(len(self._postings.get(form, ())) for form in forms(word))
            weight[word] = log(1 + len(self._units) / number) if number else 0.0
            base |= dict.fromkeys(forms(word), word)
        return weight, base

    def _rarest_forms(self, query: str) -> set[str]:
        """The rarest words of a query that are anywhere in the text, in all their forms."""
        ranked = sorted(
            (occurrences, word)
            for word in set(words(query))
            if (occurrences := sum(len(self._postings.get(form, ())) for form in forms(word)))
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
        for units in self._telling(query):
            often = Counter(chain.from_iterable(map(members.__getitem__, units)))
            rarity = log(1 + (len(self._units) - len(often) + 0.5) / (len(often) + 0.5))
            weight = rarity**2 * (_K1 + 1)
            for first, number in often.items():
                scores[first] += weight * number / (number + damping[first])
        return scores

    def _telling(self, query: str) -> list[list[int]]:
        """Where the words of a query are, a unit an occurrence, rarest first.

        Words after the first few are left out once they are so common that they would only cost
        time.
        """
        postings = self._postings
        found = [
            list(chain.from_iterable(postings.get(form, ()) for form in forms(word)))
            for word in dict.fromkeys(words(query))
        ]
        rarest = sorted(filter(None, found), key=len)
        totals = accumulate(map(len, rarest))
        return [
            units
            for number, (units, total) in enumerate(zip(rarest, totals, strict=True))
            if number < _ALWAYS_RANKED or total <= _RANKED_OCCURRENCES
        ]

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


def _sentence_start(text: str, at: int, least: int) -> int:
    """Where the sentence around `at` begins, or the first word after `least` where that is later.

    A small model that reads a passage takes its first sentence for the answer.
    """
    least = max(least, at - SNIPPET_CHARS // 2, 0)
    ends = [found.end() for found in _SENTENCE_END.finditer(text, least, at)]
    ends += [text.rfind("\n", least, at) + 1 or -1]
    if (start := max(ends)) > 0:
        return start
    return text.find(" ", least, at) + 1 or least if least else 0


def _width(size: int) -> int:
    """How many units a passage of about `size` characters has."""
    return max(1, round(size / _UNIT_CHARS))


def _units(buffer: TextBuffer, start: int, end: int) -> Iterator[tuple[int, int, str]]:
    """A range cut into units: start, end and text of each."""
    while start < end:
        text = buffer.text(start, min(start + _UNIT_CHARS, end))
        if start + len(text) < end:
            text = text[: _unit_end(text)]
        yield start, start + len(text), text
        start += len(text)


def _unit_end(text: str) -> int:
    """The best place to end a unit, in the last half of the text."""
    half = len(text) // 2
    for mark in ("\n\n", "\n"):
        if (at := text.rfind(mark, half)) >= 0:
            return at + len(mark)
    for ending in (_SENTENCE_END, _SPACE):
        ends = [found.end() for found in ending.finditer(text, half)]
        if ends:
            return ends[-1]
    return len(text)
