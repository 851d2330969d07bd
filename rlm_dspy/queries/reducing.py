"""One answer from many parts: in one call where they fit, else as a tree.

Promised: no call reads more than the model's window allows, however long a part is; a part is left
out of no branch. Which parts share a call depends on those parts and their near neighbours alone.
"""

from collections.abc import Sequence
from typing import Any

from rlm_dspy.queries.items import each
from rlm_dspy.queries.packing import Room, numbered, packs
from rlm_dspy.queries.questions import Questions

# The most parts that one call reads.
PARTS = 200
_PARTIAL = (
    "{question}\n(The text holds answers to this question, each from another part of the whole. "
    "Give the answer for all of them together.)"
)


async def reduced(questions: Questions, question: str, texts: Sequence[str], kind: Any) -> Any:
    """Answers a question from many texts.

    Args:
        questions: Asks the sub-model.
        question: The question.
        texts: The texts, at least one.
        kind: The type of the answer; on the way there, answers are text.

    Raises:
        SubQueryError: A call of the tree failed: an answer without its part would be wrong.
    """
    readable = questions.readable()
    room = Room(PARTS, readable, alone=readable)
    pieces = [piece for text in texts for piece in _cut(text, readable // 2)]
    asked = question
    while len(groups := _groups(pieces, room)) > 1:
        answers: list[str] = [""] * len(groups)

        async def ask(at: int, group: list[str], asked: str = asked) -> None:
            said = await questions.one("combine", asked, _listed(group), str, group)
            answers[at] = said[: readable // 2]  # noqa: B023 - each level waits for its jobs

        jobs = [lambda at=at, g=group: ask(at, g) for at, group in enumerate(groups)]
        await each(jobs, questions.width)
        pieces, asked = answers, _PARTIAL.format(question=question)
    return await questions.one("combine", asked, _listed(pieces), kind, pieces)


def _groups(pieces: list[str], room: Room) -> list[list[str]]:
    """The pieces of each call: all in one where they fit, else fewer groups than pieces."""
    costs = [room.cost(piece) for piece in pieces]
    if sum(costs) <= 1:
        return [pieces]
    joined: list[list[int]] = []
    for pack in packs(pieces, room):
        # A call for one piece makes no progress; any two fit, being half of the room at most.
        lone = joined and (len(pack) == 1 or len(joined[-1]) == 1)
        if lone and sum(costs[at] for at in (*joined[-1], *pack)) <= 1:
            joined[-1] += pack
        else:
            joined.append(pack)
    return [[pieces[at] for at in group] for group in joined]


def _cut(text: str, most: int) -> list[str]:
    if len(text) <= most:
        return [text]
    return [text[at : at + most] for at in range(0, len(text), most)]


def _listed(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else numbered(texts, range(1, len(texts) + 1))
