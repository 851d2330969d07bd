"""The stretch of a passage that says most about the words of a query."""

from bisect import bisect_left
from collections.abc import Mapping
from operator import itemgetter

from rlm_dspy.context.units import SENTENCE_END
from rlm_dspy.context.words import placed_words

# How much of a passage is shown where a list of them is printed.
SNIPPET_CHARS = 240


def telling_part(
    text: str, weight: Mapping[str, float], base: Mapping[str, str]
) -> tuple[int, int]:
    """Where the most telling stretch of a text starts and ends.

    It is at most `SNIPPET_CHARS` characters, and begins with a sentence if one is near.

    Args:
        text: The passage.
        weight: How much each word of the query says.
        base: The word of the query that a form of it stands for.
    """
    if len(text) <= SNIPPET_CHARS:
        return 0, len(text)
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
    return begin, end


def _sentence_start(text: str, at: int, least: int) -> int:
    """Where the sentence around `at` begins, or the first word after `least` where that is later.

    A small model that reads a passage takes its first sentence for the answer.
    """
    least = max(least, at - SNIPPET_CHARS // 2, 0)
    ends = [found.end() for found in SENTENCE_END.finditer(text, least, at)]
    ends += [text.rfind("\n", least, at) + 1 or -1]
    if (start := max(ends)) > 0:
        return start
    return text.find(" ", least, at) + 1 or least if least else 0
