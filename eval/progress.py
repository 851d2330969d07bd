"""What is told while examples run: how far it is, the score so far, the money so far."""

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from eval.purse import Purse
from eval.records import Record


class Progress:
    """A bar on a terminal, a line an example elsewhere; on standard error.

    Args:
        total: How many examples there are.
        before: The records of those that are over already.
        purse: What pays.
    """

    def __init__(self, total: int, before: Sequence[Record], purse: Purse) -> None:
        self._total = total
        self._purse = purse
        self._scores = [record.score for record in before]
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> "Progress":
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            columns = (
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.description}"),
            )
            self._bar = Bar(*columns, console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task("", total=self._total, completed=len(self._scores))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, record: Record) -> None:
        """Tells that an example has ended."""
        self._scores.append(record.score)
        if self._bar is not None:
            self._bar.update(self._task, advance=1, description=self._so_far())
            return
        score = "" if record.score is None else f" {record.score:.2f}"
        sys.stderr.write(
            f"{len(self._scores)}/{self._total} {record.id} {record.outcome}{score}, "
            f"{record.seconds:.1f} s | {self._so_far()}\n"
        )
        sys.stderr.flush()

    def _so_far(self) -> str:
        known = [score for score in self._scores if score is not None]
        mean = f"{sum(known) / len(known):.3f}" if known else "–"
        return f"score {mean}, ${self._purse.spent:.4f}"
