"""The same question over many texts: every text answered exactly once, or said to be missing.

Short texts share calls (on an embedded model only if code says how many), and a text that stands
there twice is asked about once where its answer could come from the cache as well. What does not
come back, or comes back malformed, is asked again in packs of a quarter of the size, at last alone;
where most of a round failed, alone at once. The first round's packs depend on the texts alone,
never on what failed before, so that the same texts make the same requests.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from rlm_dspy.errors import SubQueryError
from rlm_dspy.events import SubQueryFailed
from rlm_dspy.missing import Missing
from rlm_dspy.queries.packing import FEW_ITEMS, Room, packs
from rlm_dspy.queries.questions import Questions, failure

EXHAUSTED = "BudgetExceeded"
# Where more than this part of a round's packed items failed, the model is not up to packs.
_TOO_MANY = 0.5


async def each(jobs: Sequence[Callable[[], Awaitable[None]]], width: int) -> None:
    """Runs jobs, at most `width` at a time; the first that raises, or a cancellation, ends all."""
    todo = iter(jobs)

    async def work() -> None:
        for job in todo:
            await job()

    workers = [asyncio.ensure_future(work()) for _ in range(min(width, len(jobs)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


class Items:
    """One `ask_each`: a question, many texts, the answers so far.

    Args:
        questions: Asks the sub-model.
        operator: The operator's name, for the events.
        question: The question.
        texts: The texts; a `Missing` is its own answer.
        kind: The type of an answer.
    """

    def __init__(
        self,
        questions: Questions,
        operator: str,
        question: str,
        texts: Sequence[str | Missing],
        kind: Any,
    ):
        self._questions = questions
        self._operator = operator
        self._question = question
        self._texts = texts
        self._kind = kind
        self._answers: list[Any] = [t if isinstance(t, Missing) else _NOT_ASKED for t in texts]
        self._again: list[int] = []
        self._packed = 0
        self._exhausted = ""
        self.failures: list[SubQueryError] = []

    async def answers(self, most: int | None) -> list[Any]:
        """Asks until every text has its answer, or a reason why it has none.

        Args:
            most: How many texts may share a call; None to decide by their number and length.

        Returns:
            One answer a text, in order; `Missing` for one that could not be had.
        """
        pending, same = self._to_ask()
        few = most is None and (len(pending) <= FEW_ITEMS or not self._questions.shares)
        room = Room(1, 1) if few or most == 1 else self._questions.room(self._kind, most)
        while pending:
            await self._round(pending, room)
            pending, failed = sorted(self._again), len(self._again)
            room = room.smaller() if failed <= self._packed * _TOO_MANY else Room(1, 1)
        if self._exhausted:
            reason = Missing(self._exhausted)
            self._answers = [reason if a is _NOT_ASKED else a for a in self._answers]
        for at, first in same.items():
            self._answers[at] = self._answers[first]
        return self._answers

    def _to_ask(self) -> tuple[list[int], dict[int, int]]:
        """Which texts to ask about, and for each other one the same text before it."""
        first: dict[str, int] = {}
        pending: list[int] = []
        same: dict[int, int] = {}
        for at, text in enumerate(self._texts):
            if isinstance(text, Missing):
                continue
            if self._questions.repeats and first.setdefault(text, at) != at:
                same[at] = first[text]
            else:
                pending.append(at)
        return pending, same

    async def _round(self, pending: Sequence[int], room: Room) -> None:
        texts = [str(self._texts[at]) for at in pending]
        groups = packs(texts, room) if room.items > 1 else [[at] for at in range(len(texts))]
        self._again, self._packed = [], 0
        jobs = [self._job([pending[at] for at in group]) for group in groups]
        await each(jobs, self._questions.width)

    def _job(self, group: list[int]) -> Callable[[], Awaitable[None]]:
        async def ask() -> None:
            if self._exhausted:  # what is refused now would be refused again
                return
            if len(group) == 1:
                await self._ask_alone(group[0])
            else:
                await self._ask_together(group)

        return ask

    async def _ask_alone(self, at: int) -> None:
        text = _text(self._texts[at])
        try:
            self._answers[at] = await self._questions.one(
                self._operator, self._question, text, self._kind
            )
        except SubQueryError as error:
            self._fail([at], error)

    async def _ask_together(self, group: list[int]) -> None:
        self._packed += len(group)
        texts = [_text(self._texts[at]) for at in group]
        event = await self._questions.pack(self._operator, self._question, texts, self._kind)
        if isinstance(event, SubQueryFailed):
            if event.too_much:
                self._again += group
            else:
                self._fail(group, failure(event))
            return
        for position, at in enumerate(group):
            if position in event.missing:
                self._again.append(at)
            else:
                self._answers[at] = event.value[position]

    def _fail(self, group: list[int], error: SubQueryError) -> None:
        self.failures.append(error)
        if error.data.get("error") == EXHAUSTED:
            self._exhausted = str(error)
        for at in group:
            self._answers[at] = Missing(str(error))


def _text(text: str | Missing) -> str:
    assert isinstance(text, str)  # who is missing is not asked
    return text


_NOT_ASKED = Missing("not asked")
