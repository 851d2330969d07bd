"""Asks one run's planner for its next step, within its window, and lets somebody look at it first.

Promised: a prompt extends the one before, but where an old output is folded, which is an event; a
run that runs again folds where it did; a prompt that the provider refuses as too long is folded
and sent again, as long as there is something to fold.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError, ContextWindowExceededError

from rlm_dspy.adapters import split_reply
from rlm_dspy.demos import turns_of
from rlm_dspy.dspy_errors import ProviderError
from rlm_dspy.event_log import EventLog
from rlm_dspy.events import Folded, Planned
from rlm_dspy.models.capabilities import known_window
from rlm_dspy.models.several import each_lm
from rlm_dspy.models.tokens import tokens_in
from rlm_dspy.queries.scheduler import Scheduler
from rlm_dspy.queries.sizing import MESSAGE_OVERHEAD
from rlm_dspy.task import Task
from rlm_dspy.transcript import Transcript
from rlm_dspy.turns import Fold, after_refusal, at_most_tokens, folded, next_fold, said_in


class Planner:
    """The planner of one run.

    Args:
        task: What the run is to do.
        log: Its events.
        scheduler: Knows what a reply may take.
        transcript: The turns so far; each new one is added to it.
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
        self._fold = Fold()

    async def plan(self, sent: Mapping[str, str]) -> Planned:
        """What to run next.

        Args:
            sent: The new message, by field of the planner's signature.

        Raises:
            BudgetExceeded: A limit refuses the call.
            ProviderError: The model does not answer.
        """
        started = time.monotonic()
        await self._make_room(sent)
        reasoning, said, sent = await self._replied(sent)
        code = await self._reviewed(reasoning, said)
        self._transcript.turns.append({**sent, "reasoning": reasoning, "code": code})
        return Planned(
            reasoning=reasoning,
            code=code,
            seconds=round(time.monotonic() - started, 6),
            clock=time.time(),
            said=said if said != code else None,
        )

    async def _replied(self, sent: Mapping[str, str]) -> tuple[str, str, dict[str, str]]:
        while True:
            turns, shown = folded(self._transcript.turns, sent, self._fold)
            try:
                prediction = await self._ask("plan", history=dspy.History(messages=turns), **shown)
                return prediction.reasoning or "", _unfenced(prediction.code or ""), shown
            except AdapterParseError as error:
                return *split_reply(error.lm_response or ""), shown
            except ProviderError as error:
                fold = after_refusal(self._transcript.turns, sent, self._fold)
                if fold is None or not isinstance(error.__cause__, ContextWindowExceededError):
                    raise
                self._take(fold, sent, refused=True)

    async def _reviewed(self, reasoning: str, said: str) -> str:
        """The code that is to run: what the planner said, unless somebody edited it."""
        record, run, step = self._log.record, self._log.run, self._log.step
        known = record.planned(run, step) if record is not None else None
        if known is not None and known.said == said:
            return known.code
        if known is not None or self._task.review is None:
            return said
        return await self._task.review(step, reasoning, said)

    async def _make_room(self, sent: Mapping[str, str]) -> None:
        """Folds where the prompt would outgrow the window; as it was done then, of a record."""
        self._fold = Fold(self._fold.turns)
        record, run, step = self._log.record, self._log.run, self._log.step
        if record is not None and (known := record.folded(run, step)) is not None:
            self._take(Fold(known.turns, known.shown), sent)
        elif record is None or record.planned(run, step) is None:
            fold = await self._needed(sent)
            if fold != self._fold:
                self._take(fold, sent)

    async def _needed(self, sent: Mapping[str, str]) -> Fold:
        turns = self._transcript.turns
        room = self._room(len(turns)) if turns else None
        # No tokenizer makes more tokens than there are bytes.
        if room is None or len(self._whole([*turns, sent]).encode("utf-8", "replace")) <= room:
            return self._fold
        return await asyncio.to_thread(next_fold, turns, sent, self._fold, self._size, room)

    def _take(self, fold: Fold, sent: Mapping[str, str], *, refused: bool = False) -> None:
        before, _ = folded(self._transcript.turns, sent, self._fold)
        after, shown = folded(self._transcript.turns, sent, fold)
        self._fold = fold
        left = len(said_in([*before, sent])) - len(said_in([*after, shown]))
        self._log.append(
            Folded(turns=fold.turns, shown=fold.shown, characters=max(left, 0), refused=refused)
        )

    def _room(self, turns: int) -> int | None:
        """How many tokens a prompt may have; None where the window is not known."""
        lms = list(each_lm(self._scheduler.lm_of(self._task.predictors["plan"], self._lm)))
        windows = [self._task.options.planner_window, *map(known_window, lms)]
        known = [window for window in windows if window is not None]
        if not known:
            return None
        reply = max(map(self._scheduler.longest_reply, lms), default=0)
        overhead = MESSAGE_OVERHEAD * 2 * (turns + 1)
        return max(min(known) - min(reply, min(known) // 4) - overhead, 1)

    @property
    def _lm(self) -> Any:
        return self._task.stand_ins.get("plan")

    def _whole(self, turns: Iterable[Mapping[str, Any]]) -> str:
        """A prompt as one text."""
        predictor = self._task.predictors["plan"]
        signature = self._task.signature_of_plan()
        said = getattr(signature, "instructions", "")
        demos = getattr(predictor, "demos", ())
        demos = turns_of(demos, signature) if signature else demos
        return "\n".join([said, said_in([*map(dict, demos), *turns])])

    def _size(self, turns: Iterable[Mapping[str, Any]]) -> int:
        text = self._whole(turns)
        lms = each_lm(self._scheduler.lm_of(self._task.predictors["plan"], self._lm))
        counts = [tokens_in(lm, text) for lm in lms]
        return max(at_most_tokens(text) if count is None else count for count in counts)


def _unfenced(code: str) -> str:
    """Code as an adapter other than ours gives it, fence and all."""
    return split_reply(code)[1] if "```" in code else code
