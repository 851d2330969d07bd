r"""`Retrieve`: the passages that a ranked keyword search finds, and one call to answer from them.

>>> import dspy
>>> from rlm_dspy.testing import ScriptedLM
>>> text = "Rain fell all day.\n\n" * 1_000 + "The code of the locker is 5309.\n"
>>> with dspy.context(lm=ScriptedLM(["5309"])):
...     result = Retrieve()(context=text, question="What is the code of the locker?")
>>> result.answer, result.run.spend.calls
('5309', 1)
"""

from typing import Any

from programs.rlm import AnswerOverContext
from rlm_dspy import RLM, Budget, Recipe

PASSAGES = 5
STEP = """
hits = context.search(question, k=passages)
print([(hit.start, hit.end) for hit in hits])
SUBMIT(answer=ask(question, [str(hit) for hit in hits]))
"""


class Retrieve(RLM):
    """Searches, then answers; the sub-model answers.

    Args:
        sub_lm: The model that answers, or its name.
        budget: The limits of a run.
        passages: How many passages it reads.
    """

    def __init__(
        self, *, sub_lm: Any = None, budget: Budget | None = None, passages: int = PASSAGES
    ) -> None:
        recipe = Recipe("retrieve", (STEP,), {"passages": passages})
        super().__init__(AnswerOverContext, sub_lm=sub_lm, budget=budget, recipe=recipe)
