"""Where a sequence of texts is cut into groups: by what the texts say, so that cuts stay put.

Free of dependencies: the REPL's worker loads it. Promised: a text that is changed, added or removed
moves only the cuts within a third of a group of it; no group costs more than 1, but for a single
text that does.
"""

import bisect
import hashlib
import itertools
import math
from collections import deque
from collections.abc import Iterator, Sequence

# How far from its neighbours the end of a group is, as a part of a whole one.
REACH = 1 / 3


def groups(texts: Sequence[str], costs: Sequence[float]) -> list[range]:
    """Groups of neighbouring texts, as ranges of positions, in order.

    A text ends a group where its hash is the greatest of all texts within reach on either side
    (local maximum chunking: Bjørner, Blass and Gurevich, "Content-dependent chunking for
    differential compression, the local maximum approach", 2010). A group that costs too much is
    divided evenly. Texts that cost no more than one group are one.

    Args:
        texts: The texts.
        costs: What part of a whole group each text takes.
    """
    if sum(costs) <= 1:
        return [range(len(texts))] if texts else []
    cuts = [0, *(at + 1 for at in _ends(texts, costs)), len(texts)]
    return [
        group
        for start, end in itertools.pairwise(sorted(set(cuts)))
        for group in _divided(range(start, end), costs)
    ]


def _ends(texts: Sequence[str], costs: Sequence[float]) -> Iterator[int]:
    """The positions whose hash is the greatest within reach, by a sliding maximum."""
    draws = [hashlib.blake2b(t.encode("utf-8", "replace"), digest_size=8).digest() for t in texts]
    places = [0.0, *itertools.accumulate(costs)]
    greatest: deque[int] = deque()
    seen = 0
    for at in range(len(texts)):
        last = bisect.bisect_right(places, places[at] + REACH, lo=at) - 1
        while seen <= min(last, len(texts) - 1):
            while greatest and draws[greatest[-1]] < draws[seen]:
                greatest.pop()
            greatest.append(seen)
            seen += 1
        while places[greatest[0]] < places[at] - REACH:
            greatest.popleft()
        # No group at either end is shorter than the others.
        if greatest[0] == at and REACH <= places[at] <= places[-1] - REACH:
            yield at


def _divided(group: range, costs: Sequence[float]) -> Iterator[range]:
    """A group in as few parts of about the same cost as cost 1 each at most."""
    whole = sum(costs[at] for at in group)
    fair = whole / max(1, math.ceil(whole - 1e-9))
    start, held = group.start, 0.0
    for at in group:
        if at > start and (held + costs[at] > 1 + 1e-9 or held >= fair - 1e-9):
            yield range(start, at)
            start, held = at, 0.0
        held += costs[at]
    yield range(start, group.stop)
