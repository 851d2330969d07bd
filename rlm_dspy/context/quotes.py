r"""Where a quote stands in a context, though it be quoted loosely, or what is nearest to it.

A quote is looked for as it is written; then but for white space, case and the form of quotation
marks and dashes; then by its words, where nearly all are there and every number is the same. The
first is complete on a context of any length, in bounded memory; the second up to `WHOLE_CHARS`. In
a longer text it looks, as the third does in any, around the quote's numbers and longest words and
at what `search` ranks first, so that no long text is decoded as a whole.
"""

import re
from collections import Counter
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import islice
from typing import Any, NamedTuple

# A text up to this length is read whole to find a loose quote, characters.
WHOLE_CHARS = 1 << 20
# The least that a fuzzy quote and its place are alike. By it one word in eight may be another.
LEAST_RATIO = 0.85
# Longer quotes are not matched fuzzily: comparing takes time in the square of their words.
LONGEST_FUZZY = 2_000
_NEAREST_RATIO = 0.3
_PASSAGES, _ANCHORS, _PLACES = 8, 3, 20
_ALIKE = ("'‘’‚‛`´", '"“”„‟«»', "-‐‑‒–—−")
_CLASS = {character: f"[{re.escape(alike)}]" for alike in _ALIKE for character in alike}
_WORD = re.compile(r"\w+(?:[.,:]\d+)*")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_ENDS = ' \t\r\n"“”„«»…'


class Place(NamedTuple):
    """A stretch of a piece that a quote is like.

    Attributes:
        start: Where it starts, in characters of the whole context.
        end: Where it ends there.
        ratio: How much the quote and it are alike, from 0 to 1.
        how: "exact", "normalised", "fuzzy", or "unverified" for what is only nearest.
    """

    start: int
    end: int
    ratio: float
    how: str


def found_quote(piece: Any, quote: str, first: int = 0) -> Place | None:
    """The first place of a piece where a quote stands, the surest kind first.

    Args:
        piece: A context or a document.
        quote: What is quoted.
        first: Where in the piece to begin, for a quote that stands there literally.

    Returns:
        The place, "unverified" where it is only the nearest; None where nothing is near.
    """
    if not quote.strip(_ENDS).split():
        return None
    at = piece.find(quote, first)
    at = piece.find(quote) if at < 0 and first else at
    if at >= 0:
        return Place(piece.start + at, piece.start + at + len(quote), 1.0, "exact")
    return _loose(piece, quote.strip(_ENDS))


def _loose(piece: Any, quote: str) -> Place | None:
    pattern = _normalised(quote)
    if len(piece) <= WHOLE_CHARS and (found := pattern.search(str(piece))):
        return Place(piece.start + found.start(), piece.start + found.end(), 1.0, "normalised")
    nearest = None
    # The second may have to build an index: only where the first leads nowhere.
    for stretches in (_around_anchors(piece, quote), _around_passages(piece, quote)):
        texts = list(dict.fromkeys(stretches))
        for at, text in texts:
            if found := pattern.search(text):
                return Place(at + found.start(), at + found.end(), 1.0, "normalised")
        if len(quote) > LONGEST_FUZZY:
            continue
        places = [place for at, text in texts if (place := _nearest(at, text, quote))]
        nearest = max([*places, *([nearest] if nearest else [])], key=_sureness, default=None)
        if nearest and nearest.how == "fuzzy":
            return nearest
    return nearest if nearest and nearest.ratio >= _NEAREST_RATIO else None


def _sureness(place: Place) -> tuple[bool, float]:
    return place.how == "fuzzy", place.ratio


def _normalised(quote: str) -> "re.Pattern[str]":
    r"""A pattern for a quote in any case, with any white space between its words."""
    words = ("".join(_CLASS.get(c) or re.escape(c) for c in word) for word in quote.split())
    return re.compile(r"\s+".join(words), re.IGNORECASE)


def _around_passages(piece: Any, quote: str) -> Iterator[tuple[int, str]]:
    for passage in piece.search(quote[:LONGEST_FUZZY], k=_PASSAGES):
        yield _stretch(piece, passage.start, passage.end, 2 * len(quote))


def _around_anchors(piece: Any, quote: str) -> Iterator[tuple[int, str]]:
    """Stretches around the longest words of a quote and its numbers, in the usual cases."""
    words = sorted(set(quote.split()), key=lambda word: (_NUMBER.search(word) is None, -len(word)))
    for word in words[:_ANCHORS]:
        for written in dict.fromkeys((word, word.lower(), word.capitalize(), word.upper())):
            for at in islice(_occurrences(piece, written), _PLACES):
                yield _stretch(piece, at, at + len(written), 2 * len(quote))


def _occurrences(piece: Any, sought: str) -> Iterator[int]:
    at = piece.find(sought)
    while at >= 0:
        yield piece.start + at
        at = piece.find(sought, at + len(sought))


def _stretch(piece: Any, start: int, end: int, margin: int) -> tuple[int, str]:
    """A stretch with a margin on both sides, within the piece and its document."""
    low = max(0, start - piece.start - margin)
    return piece.start + low, str(piece[low : end - piece.start + margin])


def _nearest(at: int, text: str, quote: str) -> Place | None:
    """The stretch of a text that has most of a quote's words in their order."""
    said = [(w[0].casefold(), w.start(), w.end()) for w in _WORD.finditer(text)]
    sought = [word.casefold() for word in _WORD.findall(quote)]
    if not said or not sought:
        return None
    matcher = SequenceMatcher(None, sought, [word for word, _, _ in said], autojunk=False)
    blocks = sorted(matcher.get_matching_blocks(), key=lambda block: -block.size)[:3]
    places = [_place(at, text, quote, sought, said, b.b - b.a) for b in blocks if b.size]
    return max(places, key=_sureness, default=None)


def _place(
    at: int,
    text: str,
    quote: str,
    sought: list[str],
    said: list[tuple[str, int, int]],
    first: int,
) -> Place:
    """How a quote fits where its words begin at about the word number `first` of a text.

    From the first to the last of its words that are there: what stands beside is no part of it.
    """
    slack = len(sought) // 8 + 1
    low, high = max(0, first - slack), min(len(said), first + len(sought) + slack)
    window = [word for word, _, _ in said[low:high]]
    matcher = SequenceMatcher(None, sought, window, autojunk=False)
    blocks = [block for block in matcher.get_matching_blocks() if block.size]
    begins = said[low + blocks[0].b][1]
    ends = said[low + blocks[-1].b + blocks[-1].size - 1][2]
    there = text[begins:ends]
    ratio = SequenceMatcher(None, _folded(quote), _folded(there), autojunk=False).ratio()
    same = Counter(_NUMBER.findall(quote)) == Counter(_NUMBER.findall(there))
    how = "fuzzy" if ratio >= LEAST_RATIO and same else "unverified"
    return Place(at + begins, at + ends, round(ratio, 4), how)


def _folded(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))
