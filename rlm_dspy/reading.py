"""What one run has read: its ledger, and whether that is enough for an answer."""

from collections.abc import Mapping
from typing import Any

from rlm_dspy.context import Context
from rlm_dspy.context.ledger import Ledger
from rlm_dspy.coverage import Coverage
from rlm_dspy.event_log import EventLog
from rlm_dspy.events import ANSWERING, PlannedBy, Submitted
from rlm_dspy.rules import unread
from rlm_dspy.task import Task


class Reading:
    """The reading of one run.

    Args:
        task: What the run is to do.
        inputs: Its inputs by name, as the REPL gets them.
        log: Its events.
        above: The ledger of the run that started it, if any.

    Attributes:
        ledger: Notes what models read.
    """

    def __init__(self, task: Task, inputs: Mapping[str, Any], log: EventLog, above: Ledger | None):
        self._task = task
        self._inputs = inputs
        self._log = log
        self.ledger = Ledger(map(self._readable, inputs.values()), above, ANSWERING.get())

    def _readable(self, value: Any) -> Any:
        """An input as the ledger takes it; foreign interpreters get their texts as `str`."""
        long = isinstance(value, str) and len(value) > self._task.options.context_above_chars
        return Context.from_text(value) if long and value.strip() else value

    def at_first(self, planned_by: PlannedBy) -> dict[str, Any]:
        """What the run's first event says of its documents.

        Args:
            planned_by: What plans: a model is shown their ends.
        """
        preview = self._task.options.preview_chars if planned_by == "model" else 0
        return {"documents": self.ledger.documents, "printed": self.ledger.ends(preview)}

    @property
    def is_enough(self) -> bool:
        """Whether as much was read as the options want."""
        wanted = self._task.options.min_coverage
        return not wanted or self._coverage().share >= wanted

    def _coverage(self) -> Coverage:
        return Coverage.of(event for event in self._log if event.run == self._log.run)

    def judged(self, event: Submitted) -> Submitted:
        """A submission, refused where too little was read and there is a step left to read it.

        Args:
            event: A submission that is otherwise accepted.
        """
        last = self._task.recipe is not None or self._log.step >= self._task.steps
        if last or self.is_enough:
            return event
        error = unread(self._coverage(), self._task.options.min_coverage, self._inputs)
        return event.model_copy(update={"accepted": False, "error": error, "unread": True})

    def refused(self) -> dict[str, Any] | None:
        """The newest answer that was refused only since too little was read, if any."""
        held = [event.outputs for event in self._log.of(Submitted) if event.unread]
        return held[-1] if held else None
