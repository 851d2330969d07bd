r"""`Needle`: looks up what a long text says about something that the question names.

By its recipe, code finds the names and each sentence that holds one is read by a sub-query; no
planner is asked. Planned, a model writes the search itself.

>>> import dspy
>>> from rlm_dspy.testing import ScriptedLM
>>> text = "Nothing happened.\n" * 500 + "The code of locker B-17 is 5309.\n" + "Rain.\n" * 500
>>> with dspy.context(lm=ScriptedLM(["5309"])):
...     result = Needle()(context=text, question="What is the code of locker B-17?")
>>> result.answer, result.run.planned_by, result.run.spend.calls
('5309', 'recipe', 1)
"""

from typing import Any

import dspy

from programs.recipes import joined
from rlm_dspy import RLM, Budget


class LookUp(dspy.Signature):
    """Look up what the context says about the names in the question, and answer shortly.

    Find every place that holds such a name, ask about each, and put the answers together.
    """

    context: str = dspy.InputField()
    question: str = dspy.InputField()
    answer: str = dspy.OutputField(desc="the value, or all values separated by commas")


class Needle(RLM):
    """Looks something up.

    Args:
        sub_lm: The sub-queries' model, or its name.
        budget: The limits of a run.
        planned: Whether a model plans instead of the recipe.
    """

    def __init__(
        self, *, sub_lm: Any = None, budget: Budget | None = None, planned: bool = False
    ) -> None:
        recipe = None if planned else joined("needle")
        super().__init__(LookUp, sub_lm=sub_lm, budget=budget, recipe=recipe)
