r"""`DspyRLM`: `dspy.RLM` as it comes, with its own prompt, wire format and loop.

Its code runs in our REPL, so that it needs no Deno and can hang no longer than a step may take.

>>> import dspy
>>> from rlm_dspy.testing import ScriptedLM
>>> reply = "[[ ## reasoning ## ]]\nlook\n\n[[ ## code ## ]]\nSUBMIT(answer=context[-5:-1])"
>>> with dspy.context(lm=ScriptedLM([reply])):
...     DspyRLM()(context="The code is 5309.", question="What is the code?").answer
'5309'
"""

from typing import Any

import dspy

from programs.rlm import AnswerOverContext
from rlm_dspy import Budget, RestrictedInterpreter, resolve_lm

STEPS = 20


class DspyRLM(dspy.Module):
    """dspy's own RLM.

    Args:
        sub_lm: The sub-queries' model, or its name.
        budget: Its `steps` limit the iterations; other limits are the caller's to enforce.
    """

    def __init__(self, *, sub_lm: Any = None, budget: Budget | None = None) -> None:
        super().__init__()
        self.rlm = dspy.RLM(
            AnswerOverContext,
            max_iters=(budget.steps if budget else None) or STEPS,
            sub_lm=None if sub_lm is None else resolve_lm(sub_lm, role="sub"),
            interpreter_factory=RestrictedInterpreter,
        )

    def forward(self, context: str, question: str) -> dspy.Prediction:
        """Answers a question about a text."""
        return self.rlm(context=context, question=question)

    async def aforward(self, context: str, question: str) -> dspy.Prediction:
        """`forward` for asynchronous code."""
        return await self.rlm.acall(context=context, question=question)
