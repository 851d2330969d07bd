"""Intervals, paired differences and tests over the scores of runs.

Examples over one context are not independent, so that contexts are resampled, not examples (cluster
bootstrap: Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8). The
intervals are percentiles; with few contexts they are too narrow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from eval.records import Record

RESAMPLES = 10_000
LEVEL = 0.95
# With fewer contexts than this no difference can be significant: the two-sided sign test's least
# p-value over n contexts is 2 / 2**n.
FEWEST_CONTEXTS = 6
Interval = tuple[float, float]
NO_INTERVAL = (float("nan"), float("nan"))


@dataclass(frozen=True)
class Difference:
    """How much better a second run is than a first, over the examples that have a score in both.

    Args:
        n: How many examples.
        contexts: How many contexts.
        mean: The mean difference, second minus first.
        interval: Its 95 % interval; not a number with fewer than two contexts.
        better: How many examples score higher.
        worse: How many score lower.
        p: McNemar's exact p-value; None without examples, or where a score is neither 0 nor 1.
    """

    n: int
    contexts: int
    mean: float
    interval: Interval
    better: int
    worse: int
    p: float | None

    @property
    def is_gain(self) -> bool:
        """Whether the interval excludes zero on the upper side, over enough contexts."""
        return self.contexts >= FEWEST_CONTEXTS and self.interval[0] > 0


def interval(scores: Sequence[float], contexts: Sequence[str], seed: int = 0) -> Interval:
    """The bootstrap interval of a mean.

    Args:
        scores: A score an example.
        contexts: The name of each example's context.
        seed: Of the resampling.

    Returns:
        Its ends; not numbers with fewer than two contexts.
    """
    names = sorted(set(contexts))  # not as they come: the same scores have the same interval
    if len(names) < 2:
        return NO_INTERVAL
    place = {name: number for number, name in enumerate(names)}
    sums, sizes = np.zeros(len(names)), np.zeros(len(names))
    for score, context in zip(scores, contexts, strict=True):
        sums[place[context]] += score
        sizes[place[context]] += 1
    drawn = np.random.default_rng(seed).integers(len(names), size=(RESAMPLES, len(names)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def scores_of(records: Sequence[Record], *, late_as_zero: bool = False) -> dict[str, float]:
    """The scores by example, of those that have one.

    Args:
        records: A run's records.
        late_as_zero: Whether an example that took too long counts as 0, not as none.
    """
    found = {record.id: record.score for record in records}
    if late_as_zero:
        found.update({record.id: 0.0 for record in records if record.outcome == "timeout"})
    return {name: score for name, score in found.items() if score is not None}


def difference(
    first: Mapping[str, float], second: Mapping[str, float], contexts: Mapping[str, str]
) -> Difference:
    """The paired difference of two runs.

    Args:
        first: Scores by example.
        second: Scores by example.
        contexts: The context's name by example.
    """
    both = [name for name in first if name in second]
    gains = [second[name] - first[name] for name in both]
    of = [contexts[name] for name in both]
    binary = all(run[name] in (0.0, 1.0) for run in (first, second) for name in both)
    better, worse = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    return Difference(
        n=len(both),
        contexts=len(set(of)),
        mean=float(np.mean(gains)) if gains else float("nan"),
        interval=interval(gains, of) if gains else NO_INTERVAL,
        better=better,
        worse=worse,
        p=mcnemar(better, worse) if both and binary else None,
    )


def mcnemar(better: int, worse: int) -> float:
    """McNemar's exact test: whether two right/wrong runs differ (McNemar 1947; two-sided).

    Args:
        better: How many examples only the second run got right.
        worse: How many only the first did.
    """
    changed = better + worse
    return float(binomtest(better, changed, 0.5).pvalue) if changed else 1.0


def quantiles(values: Sequence[float]) -> tuple[float, float]:
    """The median and the 90th percentile; not numbers of none."""
    if not values:
        return NO_INTERVAL
    middle, ninth = np.quantile(values, [0.5, 0.9])
    return float(middle), float(ninth)
