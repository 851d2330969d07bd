"""`Direct`: the whole text and the question in one call.

>>> import dspy
>>> from rlm_dspy.testing import ScriptedLM
>>> with dspy.context(lm=ScriptedLM(["5309"])):
...     Direct()(context="The code is 5309.", question="What is the code?").answer
'5309'
"""

from typing import Any

from programs.rlm import AnswerOverContext
from rlm_dspy import RLM, Budget, RLMOptions


class Direct(RLM):
    """One call; a text that is longer than the model's window is an error.

    Args:
        sub_lm: Not asked.
        budget: The limits of a run.
    """

    def __init__(self, *, sub_lm: Any = None, budget: Budget | None = None) -> None:
        options = RLMOptions(route="direct")
        super().__init__(AnswerOverContext, sub_lm=sub_lm, budget=budget, options=options)
