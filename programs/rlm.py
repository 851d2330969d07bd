r"""`PlainRLM`: an `RLM` on the bare question, with nothing said about the kind of work.

What is short is answered by one direct call.

>>> import dspy
>>> from rlm_dspy.testing import ScriptedLM, code
>>> lm = ScriptedLM([code("print(context[-30:])"), code("SUBMIT(answer=context[-5:-1])")])
>>> with dspy.context(lm=lm):
...     PlainRLM()(context="Rain.\n" * 500 + "The code is 5309.", question="The code?").answer
'5309'
"""

from typing import Any

import dspy

from rlm_dspy import RLM, Budget, RLMOptions


class AnswerOverContext(dspy.Signature):
    """Answer the question from the context, in the form that the question asks for."""

    context: str = dspy.InputField()
    question: str = dspy.InputField()
    answer: str = dspy.OutputField()


class PlainRLM(RLM):
    """A planner in a REPL, or one direct call where the input is short.

    Args:
        sub_lm: The sub-queries' model, or its name.
        budget: The limits of a run.
    """

    def __init__(self, *, sub_lm: Any = None, budget: Budget | None = None) -> None:
        options = RLMOptions(route="auto")
        super().__init__(AnswerOverContext, sub_lm=sub_lm, budget=budget, options=options)
