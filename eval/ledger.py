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
from rlm_dspy import ConfigurationError

RESULTS = "results.jsonl"
CALLS = "calls"


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
        ContextError: The file cannot be read.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], made_with: dict[str, Any]) -> None:
        self._folder = folder
        self._file = Appender(folder / RESULTS)
        self.records: dict[str, Record] = {}
        lines = read_lines(folder / RESULTS)
        if lines:
            _same(lines[0]["settings"], settings, folder)
            self.records = _records(lines)
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
    if differ:
        told = "; ".join(f"{n} was {before.get(n)!r}, not {now.get(n)!r}" for n in differ)
        raise ConfigurationError(
            f"{folder} holds another run: {told}. Give the same options to go on with it, or "
            "another --out.",
            differ=differ,
        )


def _records(lines: list[dict[str, Any]]) -> dict[str, Record]:
    examples = [Record.of_line(line) for line in lines if line["kind"] == "example"]
    return {record.id: record for record in examples}


def read_run(folder: Path) -> tuple[dict[str, Any], list[Record]]:
    """The newest start line of a run, and its records in order of their ids.

    Raises:
        ConfigurationError: There is no run in the folder.
        ContextError: Its file cannot be read.
    """
    lines = read_lines(folder / RESULTS)
    starts = [line for line in lines if line["kind"] == "start"]
    if not starts:
        raise ConfigurationError(f"There is no run in {folder}: {RESULTS} is not there or empty.")
    return starts[-1], sorted(_records(lines).values(), key=lambda record: record.id)


def examples_digest(examples: Sequence[dspy.Example]) -> str:
    """What tells the same examples from others, in any order."""
    all_of_them = sorted(f"{example.id} {digest(example)}" for example in examples)
    return hashed("\n".join(all_of_them))
