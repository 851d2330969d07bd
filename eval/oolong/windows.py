"""A context of OOLONG-synth ("window"): its lines drawn, and its text.

Source: `EvalContextWindow`, `example_constructor` and `datasets_loader.py` of abertsch72/oolong
(MIT, commit 78c4d1021af2): number of lines, temperature, weights, users, dates, order, wording. Two
things differ: all draws come from one seeded generator (theirs is unseeded), and where rounding
would leave the first label less than nothing, the most frequent label pays for it.
"""

import math
import random
from dataclasses import dataclass
from datetime import date, timedelta

from eval.oolong.lines import Line
from eval.oolong.sources import Source
from rlm_dspy import ConfigurationError

# The timeline questions need several dates; the shortest published contexts have 12 lines.
FEWEST_LINES = 10
FIRST_DAY, LAST_DAY = date(2022, 2, 16), date(2025, 6, 21)
COMMON_USERS, COMMON_SHARE = 0.1, 0.8
SHUFFLE_SEED = 42

_GENERAL = (
    "{start} lines contain {n} {specific}\n\n"
    "You will be asked to answer questions about the aggregate label statistics across all {n} "
    "examples in this dataset. Do not try to guess, estimate, or approximate the result. Calculate "
    "the exact answer given these datapoints.\n\n"
)


@dataclass(frozen=True)
class Window:
    """A context, with what is known of it.

    Args:
        id: Its name: the same source, length and seed give the same one.
        source: Where its texts come from.
        length: Its length in tokens, as asked for.
        labels: The labels in the order of its label counts; one may have no line.
        lines: The lines, in the order of the text.
    """

    id: str
    source: Source
    length: int
    labels: tuple[str, ...]
    lines: tuple[Line, ...]

    def text(self, labelled: bool = False) -> str:
        """The context: intro, lines, recall."""
        body = "".join(f"{line.written(labelled)}\n" for line in self.lines)
        return self._general("The following") + body + self._general("Recall: the preceding")

    def _general(self, start: str) -> str:
        labels = ", ".join(f"'{label}'" for label in self.labels)
        specific = self.source.description.format(k=len(self.labels), labels=labels)
        return _GENERAL.format(start=start, n=len(self.lines), specific=specific)


def make_window(source: Source, length: int, seed: str) -> Window:
    """Draws a context.

    Args:
        source: Where its texts come from.
        length: Its length in tokens, the question included.
        seed: Which one.

    Returns:
        The context.

    Raises:
        ConfigurationError: The length leaves room for too few lines.
    """
    count = source.lines_for(length)
    if count < FEWEST_LINES:
        fewest = source.prompt_tokens + 250 + FEWEST_LINES * source.example_tokens
        raise ConfigurationError(
            f"length={length} tokens has room for {max(count, 0)} lines of {source.name!r}: take "
            f"{math.ceil(fewest / 0.95)} or more, for {FEWEST_LINES} lines.",
            length=length,
        )
    name = f"{source.name}-{length}-{seed}"
    draw = random.Random(name)
    labels = draw.sample(source.labels, len(source.labels))
    counts = _counts(draw, len(labels), count)
    texts = source.texts()
    pairs = [
        (label, text)
        for label, number in zip(labels, counts, strict=True)
        for text in _some(draw, texts[label], number)
    ]
    users, days = _users(draw, count), (LAST_DAY - FIRST_DAY).days
    lines = [
        Line(FIRST_DAY + timedelta(draw.randint(0, days)), user, text.replace("\n", " "), label)
        for (label, text), user in zip(pairs, users, strict=True)
    ]
    lines.sort(key=lambda line: line.text)
    random.Random(SHUFFLE_SEED).shuffle(lines)
    return Window(name, source, length, tuple(labels), tuple(lines))


def _counts(draw: random.Random, labels: int, lines: int) -> list[int]:
    """How many lines each label gets: weights by a softmax, rounded, the first pays the rest."""
    temperature = draw.randint(2, 6)
    weights = [math.exp(draw.randint(1, 30) ** (1 / temperature)) for _ in range(labels)]
    counts = [round(weight / sum(weights) * lines) for weight in weights]
    counts[0] += lines - sum(counts)
    if counts[0] < 0:
        counts[counts.index(max(counts))] += counts[0]
        counts[0] = 0
    return counts


def _some(draw: random.Random, pool: tuple[str, ...], count: int) -> list[str]:
    """Texts of a pool, each once, or equally often where there are too few."""
    return draw.sample(pool * -(-count // len(pool)), count) if count else []


def _users(draw: random.Random, lines: int) -> list[int]:
    ids = range(10_000, 100_000)
    common = draw.sample(ids, max(int(COMMON_USERS * lines), 1))
    known = set(common)

    def other() -> int:
        user = draw.choice(ids)
        return other() if user in known else user

    return [draw.choice(common) if draw.random() < COMMON_SHARE else other() for _ in range(lines)]
