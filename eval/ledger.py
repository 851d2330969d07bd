"""The file of a run: what it was made with, and a line for every example that ended.

`results.jsonl` is appended to as examples end. A run that was killed goes on where it was: what
ended is not run again, and what an example had paid for is answered from its journal.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dspy

from eval.hashing import hashed
from eval.journal import Journal
from eval.jsonl import Appender, read_lines
from eval.records import FINAL, Record, digest
from rlm_dspy import ConfigurationError, ContextError

RESULTS = "results.jsonl"
CALLS = "calls"
# What is read of a start line; other settings are only compared.
_READ = {
    "settings": (
        *("task", "n", "lengths", "seed", "generated", "group", "lm", "sub_lm"),
        *("seconds", "examples", "examples_digest"),
    ),
    "made_with": ("command", "unpriced"),
}


class Ledger:
    """The record of one run.

    Args:
        folder: The run's folder, made if need be.
        settings: What makes it this run; the folder of another run is refused.
        made_with: Versions, commit and machine, for the reader.

    Attributes:
        records: The newest record of each example, by its id.

    Raises:
        ConfigurationError: The folder holds a run with other settings.
        ContextError: The file cannot be read, or is not a run's.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], made_with: dict[str, Any]) -> None:
        self._folder = folder
        self._file = Appender(folder / RESULTS)
        starts, self.records = _read(folder)
        if starts:
            _same(starts[0]["settings"], settings, folder)
        self._file.append({"kind": "start", "settings": settings, "made_with": made_with})

    def ended(self, example: dspy.Example) -> bool:
        """Whether an example is over."""
        record = self.records.get(example.id)
        return record is not None and record.outcome in FINAL

    def journal(self, example: dspy.Example) -> Journal:
        """The calls of an example that is not over."""
        return Journal(self._calls(example))

    def forget_calls(self, example: dspy.Example) -> None:
        """Removes the calls of an example that is over, which a kill may have left behind."""
        self._calls(example).unlink(missing_ok=True)

    def spent(self, examples: Sequence[dspy.Example]) -> float:
        """The dollars that were spent so far, on examples that are over and that are not."""
        over = [self.records[e.id].bill for e in examples if self.ended(e)]
        begun = [self.journal(e).bill for e in examples if not self.ended(e)]
        return sum(bill.dollars for bill in [*over, *begun])

    def add(self, record: Record) -> None:
        """Appends what became of an example."""
        self._file.append(record.as_line())
        self.records[record.id] = record

    def _calls(self, example: dspy.Example) -> Path:
        return self._folder / CALLS / f"{hashed(example.id)}.jsonl"


def _same(before: dict[str, Any], now: dict[str, Any], folder: Path) -> None:
    differ = sorted(n for n in {*before, *now} if before.get(n) != now.get(n))
    if "examples_digest" not in differ:  # the same examples, such as one's own by another path
        differ = [n for n in differ if n != "task"]
    if differ:
        told = "; ".join(f"{n} was {before.get(n)!r}, not {now.get(n)!r}" for n in differ)
        raise ConfigurationError(
            f"{folder} holds another run: {told}. Give the same options to go on with it, or "
            "another --out.",
            differ=differ,
        )


def _read(folder: Path) -> tuple[list[dict[str, Any]], dict[str, Record]]:
    """The start lines and the newest record of each example; none where there is no file.

    Raises:
        ContextError: The file is not a run's.
    """
    starts: list[dict[str, Any]] = []
    records: dict[str, Record] = {}
    for number, line in enumerate(read_lines(folder / RESULTS), 1):
        try:
            if line.get("kind") == "example" and starts:
                record = Record.of_line(line)
                records[record.id] = record
            elif line.get("kind") == "start":
                starts.append(_checked_start(line))
            else:
                raise ContextError(f"it is no {'record' if starts else 'start line'}.")
        except ContextError as error:
            raise ContextError(
                f"Line {number} of {folder / RESULTS} is not as it was written: {error} Restore "
                "the file, or take another folder."
            ) from error
    return starts, records


def _checked_start(line: dict[str, Any]) -> dict[str, Any]:
    """A start line with all that reports and comparisons read."""
    for part, names in _READ.items():
        found = line.get(part)
        missing = [name for name in names if not isinstance(found, dict) or name not in found]
        if missing:
            raise ContextError(f"its {part!r} has no {', '.join(missing)}.")
    return line


def read_run(folder: Path) -> tuple[dict[str, Any], list[Record]]:
    """The newest start line of a run, and its records in order of their ids.

    Raises:
        ConfigurationError: There is no run in the folder.
        ContextError: Its file cannot be read, or is not a run's.
    """
    starts, records = _read(folder)
    if not starts:
        raise ConfigurationError(f"There is no run in {folder}: {RESULTS} is not there or empty.")
    return starts[-1], sorted(records.values(), key=lambda record: record.id)


def examples_digest(examples: Sequence[dspy.Example]) -> str:
    """What tells the same examples from others, in any order."""
    all_of_them = sorted(f"{example.id} {digest(example)}" for example in examples)
    return hashed("\n".join(all_of_them))
