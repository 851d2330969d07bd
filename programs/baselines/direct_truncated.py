r"""`DirectTruncated`: one call with as much of the text as the model takes, its middle cut out.

Source: LongBench cuts prompts in the middle as well (Bai et al., arXiv 2308.14508).

>>> cut("0123456789", 6)
'012\n[…]\n789'
"""

from typing import Any

import dspy
from dspy.utils.exceptions import ContextWindowExceededError

from programs.baselines.direct import Direct
from rlm_dspy import Budget, ProviderError

# How much of a text that was refused is tried next, and the shortest that is tried, characters.
KEPT, LEAST_CHARS = 0.8, 1_000


class DirectTruncated(dspy.Module):
    """One call, shortened until it fits; a refused call costs nothing.

    Args:
        sub_lm: Not asked.
        budget: The limits of a run.
        chars: How much of the text is tried first, characters; None for all of it.
    """

    def __init__(
        self, *, sub_lm: Any = None, budget: Budget | None = None, chars: int | None = None
    ) -> None:
        super().__init__()
        self.chars = chars
        self.direct = Direct(sub_lm=sub_lm, budget=budget)

    def forward(self, context: str, question: str) -> dspy.Prediction:
        """Answers from the two ends of the text.

        Args:
            context: The text.
            question: The question.

        Returns:
            `answer`, and `run` of the call that was taken.

        Raises:
            ProviderError: The model does not answer, or not even the shortest text fits.
        """
        chars = min(self.chars or len(context), len(context))
        while True:
            try:
                return self.direct(context=cut(context, chars), question=question)
            except ProviderError as error:
                chars = shorter(chars, error)

    async def aforward(self, context: str, question: str) -> dspy.Prediction:
        """`forward` for asynchronous code."""
        chars = min(self.chars or len(context), len(context))
        while True:
            try:
                return await self.direct.acall(context=cut(context, chars), question=question)
            except ProviderError as error:
                chars = shorter(chars, error)


def shorter(chars: int, error: ProviderError) -> int:
    """How much of the text is tried after a call with so many characters was refused.

    Raises:
        ProviderError: It was not refused for its length, or that was the shortest.
    """
    left = int(chars * KEPT)
    if left < LEAST_CHARS or not isinstance(error.__cause__, ContextWindowExceededError):
        raise error
    return left


def cut(text: str, chars: int) -> str:
    """A text without its middle, so that so many characters are left."""
    if len(text) <= chars:
        return text
    return f"{text[: chars - chars // 2]}\n[…]\n{text[len(text) - chars // 2 :]}"
