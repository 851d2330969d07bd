"""What a run leaves behind: `result.run`."""

from dataclasses import dataclass, field
from typing import Any

from rlm_dspy.budget import Spend
from rlm_dspy.citations import Citation, citations_in
from rlm_dspy.coverage import Coverage
from rlm_dspy.events import Event, PlannedBy, Status
from rlm_dspy.notebook import as_html, outputs_of


@dataclass(frozen=True)
class Run:
    """One run: how it ended, what it cost, what happened.

    Args:
        id: Twelve hexadecimal digits.
        status: "completed", "partial" (a limit or an interruption ended it; the outputs are the
            best that could be had) or "failed".
        reason: Why it is not completed, or "not_found"; empty otherwise.
        planned_by: "model", "recipe", "direct" or "phase0".
        spend: What it cost.
        _events: See `events`.
        _trajectory: See `trajectory`.
        models: The models' names, by "main" and "sub".
        isolation: Which of the REPL's isolation layers were active; empty for another interpreter.
    """

    id: str
    status: Status
    reason: str
    planned_by: PlannedBy
    spend: Spend
    # Private names: `dspy.streaming.streaming_response` writes a dataclass's other fields as JSON.
    _events: tuple[Event, ...] = field(repr=False)
    _trajectory: tuple[dict[str, Any], ...] = field(repr=False)
    models: dict[str, str] = field(default_factory=dict)
    isolation: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def events(self) -> tuple[Event, ...]:
        """Everything that happened, in order."""
        return self._events

    @property
    def trajectory(self) -> tuple[dict[str, Any], ...]:
        """The steps, each with reasoning, code and output, as `dspy.RLM` has them."""
        return self._trajectory

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The citations of its outputs, in order."""
        return tuple(citations_in(outputs_of(self.events)))

    @property
    def coverage(self) -> Coverage:
        """What of its documents was read."""
        return Coverage.of(self.events)

    def toDict(self) -> dict[str, Any]:  # dspy's name: `Prediction.toDict` and `Evaluate` call it
        """What JSON takes of it: all but `events` and `trajectory`."""
        return {
            "id": self.id,
            "status": self.status,
            "reason": self.reason,
            "planned_by": self.planned_by,
            "spend": self.spend.as_dict(),
            "models": dict(self.models),
            "isolation": dict(self.isolation),
        }

    def __deepcopy__(self, memo: dict[int, Any]) -> "Run":
        return self

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        spend = self.spend
        facts = {
            f"run {self.id}": f"{self.status}: {self.reason}" if self.reason else self.status,
            "steps": f"{spend.steps:,}",
            "calls": f"{spend.calls:,}",
            "tokens": f"{spend.tokens:,}",
            "cost": f"${spend.dollars:.4f}",
            "time": f"{spend.seconds:.1f} s",
        }
        return as_html(facts, outputs_of(self.events), self.trajectory)
