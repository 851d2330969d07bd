"""What became of one example of a run."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import dspy
from pydantic import ConfigDict, TypeAdapter, ValidationError

from eval.hashing import hashed
from eval.purse import Bill
from rlm_dspy import ContextError

# "scored": answered. "failed": the program itself ended without an answer, which counts as 0, in a
# column of its own. "timeout": it took too long. "infrastructure": a model or the REPL broke.
# "budget": the run's money was spent first. The last three have no score.
Outcome = Literal["scored", "failed", "timeout", "infrastructure", "budget"]
# After these an example is over; the others are tried again when the run is resumed.
FINAL: tuple[Outcome, ...] = ("scored", "failed", "timeout")
# How the error of an answer begins to which the official code gives no score, so that it counts 0.
NO_SCORE = "no score: "
# What an example is scored by, besides its gold.
SCORED_BY = ("metric", "answer_type", "prefix")


@dataclass(frozen=True)
class Record:
    """One example.

    Args:
        id: The example's.
        context_id: Its context's.
        group: Its group.
        length: Its length in tokens, as asked for.
        digest: What tells the same example: see `digest`.
        outcome: What became of it.
        scores: Its scores by metric; empty where it has none.
        answer: What was answered.
        status: The run's status, where the program ran an `RLM`.
        reason: The run's reason for it.
        planned_by: What planned.
        error: What ended the program, or kept it from an answer.
        seconds: How long it took.
        bill: What it cost, over all attempts.
        labels: How many lines sub-queries labelled and how many right, where that is known.
        attempts: How often it was tried.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    id: str
    context_id: str
    group: str
    length: int
    digest: str
    outcome: Outcome
    scores: dict[str, float]
    answer: str
    seconds: float
    bill: Bill
    status: str = ""
    reason: str = ""
    planned_by: str = ""
    error: str = ""
    labels: dict[str, int] = field(default_factory=dict)
    attempts: int = 1

    @property
    def score(self) -> float | None:
        """Its score by the task's first metric: 0 where it failed, None where it has none."""
        if self.outcome == "failed":
            return 0.0
        return next(iter(self.scores.values()), None) if self.outcome == "scored" else None

    @property
    def unscored(self) -> bool:
        """Whether its score is 0 because the official code gives none."""
        return self.outcome == "scored" and self.error.startswith(NO_SCORE)

    def as_line(self) -> dict[str, Any]:
        """The record as a line of JSON."""
        return {"kind": "example", **asdict(self), "bill": self.bill.as_dict()}

    @classmethod
    def of_line(cls, line: dict[str, Any]) -> "Record":
        """The record of a line.

        Raises:
            ContextError: The line is none.
        """
        try:
            return _RECORD.validate_python({k: v for k, v in line.items() if k != "kind"})
        except ValidationError as error:
            wrong = error.errors(include_url=False)[0]
            place = ".".join(map(str, wrong["loc"]))
            raise ContextError(f"its {place!r} is wrong: {wrong['msg']}.") from error


_RECORD = TypeAdapter(Record)


def digest(example: dspy.Example) -> str:
    """What tells the same example: of what is asked, what is right and how that is scored.

    Args:
        example: The example.

    Returns:
        Twelve hexadecimal digits.
    """
    scored_by = [f"{name}={example[name]}" for name in SCORED_BY if name in example]
    text = "\0".join(map(str, (example.context, example.question, example.gold, *scored_by)))
    return hashed(text, 12)
