"""Runs side by side over the same examples: `python -m eval compare A B …`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.tables import table
from eval.ledger import read_run
from eval.records import Record
from eval.report import (
    FAILURES_HEAD,
    HEAD,
    UNANSWERED,
    by_length,
    cells,
    difference_cells,
    failures_of,
    heading,
    legend,
)
from eval.stats import FEWEST_CONTEXTS, Difference, difference, scores_of
from rlm_dspy import ConfigurationError

PAIR_HEAD = ("pairs", "difference", "better", "worse", "McNemar's p")


@dataclass(frozen=True)
class Measured:
    """A run that is compared.

    Args:
        name: Its name in the tables.
        start: Its start line.
        records: Its records.
    """

    name: str
    start: dict[str, Any]
    records: Sequence[Record]

    def of_lengths(self, lengths: Collection[int]) -> list[Record]:
        """The records of some lengths."""
        return [record for record in self.records if record.length in lengths]

    @property
    def missing(self) -> int:
        """How many examples have no record."""
        return self.start["settings"]["examples"] - len(self.records)


def read_runs(folders: Sequence[Path]) -> list[Measured]:
    """Runs over the same examples.

    Args:
        folders: Their folders, two or more.

    Raises:
        ConfigurationError: They are not over the same examples, or one is no run.
    """
    if len(folders) < 2:
        raise ConfigurationError("Give two runs or more to compare.")
    runs = [Measured(_name(folder, folders), *read_run(folder)) for folder in folders]
    for run in runs[1:]:
        _require_same_examples(runs[0], run)
    return runs


def comparison(runs: Sequence[Measured]) -> str:
    """The tables: every run by length, and every later run against the first.

    Args:
        runs: The runs.
    """
    parts = [heading([run.start for run in runs])]
    lengths = by_length(lengths_of(runs))
    for name, some in lengths.items() if len(lengths) > 1 else []:
        rows = [[run.name, *cells(run.of_lengths(some))] for run in runs]
        parts.append(f"{name} tokens:\n\n" + table(["run", *HEAD], rows))
    everything = [[run.name, *cells(run.records, missing=run.missing)] for run in runs]
    parts.append("All:\n\n" + table(["run", *HEAD], everything))
    parts.append(_pairs(runs))
    failures = [[run.name, *row] for run in runs for row in failures_of(run.records)]
    if failures:
        parts.append(f"{UNANSWERED}\n\n" + table(["run", *FAILURES_HEAD], failures))
    parts.append(legend([run.start for run in runs]))
    return "\n\n".join(parts)


def lengths_of(runs: Sequence[Measured]) -> list[int]:
    """The lengths of all runs, in order."""
    return sorted({record.length for run in runs for record in run.records})


def paired(first: Measured, second: Measured, *, late_as_zero: bool = False) -> Difference:
    """How much better a run is than another, example by example."""
    contexts = {record.id: record.context_id for record in first.records}
    return difference(
        scores_of(first.records, late_as_zero=late_as_zero),
        scores_of(second.records, late_as_zero=late_as_zero),
        contexts,
    )


def _pairs(runs: Sequence[Measured]) -> str:
    first, *others = runs
    rows, few = [], []
    for run in others:
        name = f"{run.name} − {first.name}"
        plain, strict = paired(first, run), paired(first, run, late_as_zero=True)
        found = {name: plain}
        if strict.n != plain.n:
            found[f"{name}, time-outs as 0"] = strict
        rows += [[told, *difference_cells(one)] for told, one in found.items()]
        few += [told for told, one in found.items() if one.contexts < FEWEST_CONTEXTS]
    text = "Paired, over the examples that have a score in both:\n\n"
    text += table(["runs", *PAIR_HEAD], rows)
    if few:
        text += (
            f"\n\nOver fewer than {FEWEST_CONTEXTS} contexts no difference can be significant: "
            f"{'; '.join(few)}."
        )
    return text


def _require_same_examples(first: Measured, second: Measured) -> None:
    one, other = (run.start["settings"]["examples_digest"] for run in (first, second))
    if one == other:
        return
    ids = [{f"{record.id} {record.digest}" for record in run.records} for run in (first, second)]
    alike = len(ids[0] & ids[1])
    raise ConfigurationError(
        f"{first.name} and {second.name} are over different examples ({alike} of "
        f"{len(ids[0])} and {len(ids[1])} are the same): only runs over the same task, n, lengths, "
        "seed and data can be compared.",
        runs=(first.name, second.name),
    )


def _name(folder: Path, folders: Sequence[Path]) -> str:
    name, names = folder.resolve().name, [other.resolve().name for other in folders]
    return name if names.count(name) == 1 else str(folder)
