"""The last extraction: the best answer from what a run found, within what is held back for it."""

from collections.abc import Awaitable, Callable
from typing import Any

from dspy.utils.exceptions import AdapterParseError

from rlm_dspy.briefing import Briefing
from rlm_dspy.dspy_errors import ProviderError
from rlm_dspy.errors import BudgetExceeded
from rlm_dspy.event_log import EventLog
from rlm_dspy.events import Extracted, SubQueryAnswered
from rlm_dspy.queries.scheduler import Scheduler
from rlm_dspy.signatures import extract_inputs
from rlm_dspy.task import Task
from rlm_dspy.transcript import Transcript


class Extraction:
    """Answers one run's task from its transcript.

    Args:
        task: The task.
        log: The run's events.
        scheduler: Knows what may be spent.
        transcript: What it did.
        ask: Asks a predictor, by its role.
    """

    def __init__(
        self,
        task: Task,
        log: EventLog,
        scheduler: Scheduler,
        transcript: Transcript,
        ask: Callable[..., Awaitable[Any]],
    ):
        self._task = task
        self._log = log
        self._scheduler = scheduler
        self._transcript = transcript
        self._ask = ask

    async def event(self, reason: str, briefing: Briefing) -> Extracted:
        """The answer, or why there is none.

        Args:
            reason: Why the run ends early.
            briefing: The planner's texts.
        """
        options = self._task.options
        affordable = self._scheduler.room_for_findings(self._task.lm_of("extract"))
        room = min(options.extract_chars, affordable)
        given = briefing.variables(min(options.preview_chars, room // 4))
        variables, findings = extract_inputs(self._task.outer)
        inputs = {
            variables: given[: room // 2],
            findings: self._findings(room - min(len(given), room // 2)),
        }
        try:
            prediction = await self._ask("extract", **inputs)
        except (AdapterParseError, BudgetExceeded, ProviderError) as error:
            nothing = dict.fromkeys(self._task.outer.output_fields)
            return Extracted(outputs=nothing, reason=reason, error=str(error))
        found = dict(prediction.items())
        outputs = {name: found.get(name) for name in self._task.outer.output_fields}
        return Extracted(outputs=outputs, reason=reason)

    def _findings(self, limit: int) -> str:
        """The transcript, and what sub-queries of an unfinished step answered."""
        found = self._transcript.findings(limit)
        done = len(self._transcript.steps)
        unfinished = [e.value for e in self._log.of(SubQueryAnswered) if e.step > done]
        if unfinished:
            answers = "\n".join(str(value) for value in unfinished)
            found = f"{found}\n\nAnswers of sub-queries in the last step:\n{answers}"
        return found[-limit:] if limit else "(nothing)"
