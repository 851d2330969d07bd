"""The tables of a run and of a comparison, as Markdown."""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from bench.tables import seconds, table
from eval.oracle import SIMULATED
from eval.records import NO_SCORE, Record
from eval.stats import Difference, Interval, interval, quantiles, scores_of

HEAD = (
    *("examples", "score", "time-outs as 0", "failed", "time-outs", "broken", "not run"),
    *("calls", "tokens", "dollars", "seconds", "dollars of all"),
)
UNANSWERED = "Without an answer in time, or without an official score:"
# The outcome in the table of failures of an answer to which the official code gives no score.
UNSCORED = "no score, counted as 0"
FAILURES_HEAD = ("outcome", "why", "n")
# More lengths than this share rows.
MOST_LENGTHS = 8
# An error's first line is cut here, characters.
REASON_CHARS = 160
LEGEND = (
    "Score: the mean over examples that ended in time, with the bootstrap 95 % interval over "
    "contexts. Failed: the program ended without an answer, counted as 0. Time-outs: ended by the "
    "limit of {seconds} s; in no score but `time-outs as 0`. Broken: a model or the REPL broke, "
    "in no score. Calls, tokens, dollars and seconds of an example: median / 90th percentile; "
    "tokens of calls that broke off are upper bounds."
)


def run_report(start: dict[str, Any], records: Sequence[Record]) -> str:
    """The tables of one run: by length, by group, and by each further metric.

    Args:
        start: The run's start line.
        records: Its records.
    """
    settings = start["settings"]
    parts = [heading([start])]
    lengths = by_length({record.length for record in records})
    rows = [(name, [r for r in records if r.length in some]) for name, some in lengths.items()]
    missing = settings["examples"] - len(records)
    everything = [("all", cells(records, missing=missing))]
    each = [(name, cells(some)) for name, some in rows] if len(rows) > 1 else []
    parts.append(_table("tokens", [*each, *everything]))
    groups = sorted({record.group for record in records})
    if len(groups) > 1:
        by_group = [(name, cells([r for r in records if r.group == name])) for name in groups]
        parts.append(_table("group", by_group))
    parts += _other_metrics(records)
    if told := labels_right(records):
        parts.append(f"Labels by sub-queries: {told}")
    if failures := failures_of(records):
        parts.append(f"{UNANSWERED}\n\n" + table(FAILURES_HEAD, failures))
    parts.append(legend([start]))
    return "\n\n".join(parts)


def legend(starts: Iterable[dict[str, Any]]) -> str:
    """What the columns of runs are, and the limits of time that these had."""
    limits = sorted({start["settings"]["seconds"] for start in starts})
    return LEGEND.format(seconds=" or ".join(f"{limit:g}" for limit in limits))


def by_length(lengths: Collection[int]) -> dict[str, list[int]]:
    """Lengths by the name of their row: each its own, or where they are many, by powers of two."""
    if len(set(lengths)) <= MOST_LENGTHS:
        return {f"{length:,}": [length] for length in sorted(set(lengths))}
    rows: dict[str, list[int]] = {}
    for length in sorted(set(lengths)):
        low = 1 << max(length.bit_length() - 1, 0)
        rows.setdefault(f"{low if length else 0:,} to {2 * low - 1:,}", []).append(length)
    return rows


def heading(starts: Iterable[dict[str, Any]]) -> str:
    """What stands over tables: what made the runs, and that a simulated one is one."""
    starts = list(starts)
    models = {start["settings"][name] for start in starts for name in ("lm", "sub_lm")}
    simulated = any(str(model).startswith("simulated/") for model in models)
    unpriced = sorted({model for start in starts for model in start["made_with"]["unpriced"]})
    free = f"No price is known for {', '.join(unpriced)}: its calls count as 0 dollars."
    commands = [f"    {start['made_with']['command']}" for start in starts]
    return "\n\n".join([*[SIMULATED] * simulated, *commands, *[free] * bool(unpriced)])


def cells(records: Sequence[Record], *, missing: int = 0) -> list[str]:
    """A row of `HEAD` over some records.

    Args:
        records: The records.
        missing: How many examples have none.
    """
    outcomes = [record.outcome for record in records]
    bills = [record.bill for record in records]
    return [
        str(len(records) + missing),
        mean_of(records),
        mean_of(records, late_as_zero=True),
        str(outcomes.count("failed")),
        str(outcomes.count("timeout")),
        str(outcomes.count("infrastructure")),
        str(missing + outcomes.count("budget")),
        _spread([bill.calls for bill in bills], _count),
        _spread([bill.tokens for bill in bills], "{:,.0f}".format),
        _spread([bill.dollars for bill in bills], "{:.4f}".format),
        _spread([record.seconds for record in records], seconds),
        f"{sum(bill.dollars for bill in bills):.4f}",
    ]


def mean_of(records: Sequence[Record], *, late_as_zero: bool = False) -> str:
    """The mean score with its interval; a dash where nothing has a score."""
    scores = scores_of(records, late_as_zero=late_as_zero)
    if not scores:
        return "–"
    contexts = {record.id: record.context_id for record in records}
    ends = interval(list(scores.values()), [contexts[name] for name in scores])
    return f"{sum(scores.values()) / len(scores):.3f} {bracketed(ends)}".strip()


def bracketed(ends: Interval, sign: str = "") -> str:
    """An interval as text; nothing where there is none."""
    low, high = ends
    return "" if math.isnan(low) else f"[{low:{sign}.3f}, {high:{sign}.3f}]"


def difference_cells(found: Difference) -> list[str]:
    """A paired difference as cells: n, mean with its interval, better, worse, McNemar's p."""
    mean = "–" if math.isnan(found.mean) else f"{found.mean:+.3f} {bracketed(found.interval, '+')}"
    p = "–" if found.p is None else f"{found.p:.3g}"
    return [str(found.n), mean.strip(), str(found.better), str(found.worse), p]


def _table(first: str, rows: Sequence[tuple[str, list[str]]]) -> str:
    return table([first, *HEAD], [[name, *row] for name, row in rows])


def _other_metrics(records: Sequence[Record]) -> list[str]:
    scored = [record for record in records if record.outcome == "scored"]
    names = list(dict.fromkeys(name for record in scored for name in record.scores))
    if len(names) < 2:
        return []
    rows = []
    for name in names:
        found = [record.scores[name] for record in scored if name in record.scores]
        rows.append([name, str(len(found)), f"{sum(found) / len(found):.3f}"])
    return [table(["metric", "answered examples", "mean"], rows)]


def failures_of(records: Sequence[Record]) -> list[list[str]]:
    """What kept examples from an answer or a score, as rows of `FAILURES_HEAD`.

    Args:
        records: The records; of an error the first line is shown.
    """
    counts: dict[tuple[str, str], int] = {}
    for record in records:
        if record.outcome != "scored" or record.unscored:
            outcome = UNSCORED if record.unscored else record.outcome
            error = record.error.removeprefix(NO_SCORE)
            why = error.splitlines()[0][:REASON_CHARS] if error else record.reason
            counts[outcome, why] = counts.get((outcome, why), 0) + 1
    return [[outcome, why, str(n)] for (outcome, why), n in sorted(counts.items())]


def labels_right(records: Sequence[Record]) -> str:
    """How many lines sub-queries labelled right, with an interval; "" where that is not known."""
    told = [record for record in records if record.labels]
    if not told:
        return ""
    right, asked = (sum(record.labels[name] for record in told) for name in ("right", "asked"))
    shares = [record.labels["right"] / record.labels["asked"] for record in told]
    ends = interval(shares, [record.context_id for record in told])
    mean = f"{sum(shares) / len(shares):.3f} {bracketed(ends)}".strip()
    return f"{right} of {asked} right; the mean share of an example is {mean}."


def _count(value: float) -> str:
    return f"{value:,.1f}".removesuffix(".0")


def _spread(values: Sequence[float], text: Callable[[float], str]) -> str:
    return " / ".join(map(text, quantiles(values))) if values else "–"
