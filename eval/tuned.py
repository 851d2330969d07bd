"""How a program is tuned, and what that came to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eval.purse import Bill
from eval.records import Record
from eval.stats import Difference


@dataclass(frozen=True)
class Plan:
    """How to tune.

    Args:
        optimizer: A name of `OPTIMIZERS`.
        train: How many examples to learn from.
        val: How many to choose by.
        test: How many to judge by, never seen before.
        teacher: The model that makes the demos; None for the program's own.
        reflection_lm: The model that rewrites instructions; None for the program's own.
        rounds: How many steps of search.
        demos: The most demos a predictor gets.
        seconds: When the tuning starts no further call, seconds after its beginning.
        gate: Whether only a significant gain is saved.
        held: What is kept back for the winner's test, as a multiple of the old program's, since
            demos make prompts longer.
    """

    optimizer: str
    train: int
    val: int
    test: int
    teacher: Any = None
    reflection_lm: Any = None
    rounds: int = 6
    demos: int = 4
    seconds: float | None = None
    gate: bool = True
    held: float = 2.0

    @property
    def sizes(self) -> Mapping[str, int]:
        """The sizes of the parts; the test's contexts are dealt out first."""
        return {"test": self.test, "val": self.val, "train": self.train}


@dataclass(frozen=True)
class Search:
    """What an optimizer's search was.

    Args:
        bill: What it cost, all models together.
        seconds: How long it took.
        refused: The limit that ended it, "dollars" or "seconds"; empty where none did.
        error: What the optimizer raised; empty where it ended by itself.
        trouble: The first error of a request that no model answered in the end; empty without one.
        troubles: How many such requests there were.
    """

    bill: Bill
    seconds: float
    refused: str
    error: str
    trouble: str = ""
    troubles: int = 0


@dataclass(frozen=True)
class Tuned:
    """What a tuning came to.

    Args:
        plan: How it was tuned.
        start: The start line of the old program's measurement.
        before: The old program's records on the test split.
        after: The winner's; none where the optimizer changed nothing.
        gain: The paired gain; None where the optimizer changed nothing.
        search: What the search was.
        diff: What changed in the prompts.
        saved: Whether the winner was saved.
    """

    plan: Plan
    start: dict[str, Any]
    before: list[Record]
    after: list[Record]
    gain: Difference | None
    search: Search
    diff: str
    saved: bool
