"""Which recorded runs are meant."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rlm_dspy.runs.row import Row
from rlm_dspy.runs.stored import Stored

Verdict = Literal["good", "bad"]


@dataclass(frozen=True, kw_only=True)
class RunFilter:
    """Which recorded runs are meant; what is not said excludes nothing.

    Args:
        rating: Only those rated so.
        status: Only those that ended so: "completed", "partial" or "failed".
        model: Only what this model said.
        search: Only those in whose question, answer or events this text stands.
        since: Only those that began since then, seconds since 1970.
        score: How good a run is, by a function of yours; None where it cannot say.
        least: Only those that score at least this.
    """

    rating: Verdict | None = None
    status: tuple[str, ...] = ()
    model: str | None = None
    search: str | None = None
    since: float = 0.0
    score: Callable[[Stored], float | None] | None = None
    least: float | None = None

    def takes(self, row: Row, verdict: str) -> bool:
        """Whether a run may be meant, as far as the list of runs says.

        Args:
            row: The run.
            verdict: Its rating; empty for none.
        """
        return (
            row.created >= self.since
            and (not self.status or row.state in self.status)
            and self.rating in (None, verdict)
        )

    def scored(self, stored: Stored, verdict: str) -> float | None:
        """How good a run is: by the function, else 1 for "good" and 0 for "bad".

        Args:
            stored: The run.
            verdict: Its rating; empty for none.

        Returns:
            The score; None where nobody says.
        """
        if self.score is not None:
            found = self.score(stored)
            return None if found is None else float(found)
        return {"good": 1.0, "bad": 0.0}.get(verdict)
