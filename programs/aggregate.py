r"""`Aggregate`: answers questions about all lines of a text, by exact counting.

What a line is has to be judged by its meaning, so every line that a question is about gets its
label by a typed sub-query, unless the lines show their labels; the rest is counted in code. By its
recipe nothing is planned; planned, a model writes the code.

>>> lines = "".join(
...     f"Date: Mar {day:02}, 2024 || User: {user} || Instance: thing {day} || Label: {label}\n"
...     for day, user, label in [(1, 17, "plant"), (2, 17, "animal"), (3, 42, "plant")]
... )
>>> result = Aggregate()(
...     context=lines,
...     question="In the above data, how many data points should be classified as label 'plant'? "
...     "Give your final answer in the form 'Answer: number'.",
... )
>>> result.answer, result.run.planned_by, result.run.spend.calls
('Answer: 2', 'recipe', 0)
"""

from collections.abc import Sequence
from typing import Any, Literal

import dspy

from programs.recipes import joined
from rlm_dspy import RLM, Budget


class AnswerOverLines(dspy.Signature):
    """Answer a question about all lines of the context exactly, in the form that it asks for.

    Read the lines with a regular expression. Where they show no labels, get the label of every line
    that matters with ask_each and a Literal of the labels; never guess labels by words. Then count
    in code.
    """

    context: str = dspy.InputField()
    question: str = dspy.InputField()
    answer: str = dspy.OutputField(desc="in the form that the question asks for")


class Aggregate(RLM):
    """Answers questions about all lines of a text.

    Args:
        sub_lm: The sub-queries' model, or its name.
        budget: The limits of a run.
        planned: Whether a model plans instead of the recipe.
        labels: The recipe's labels; none to read them in the text before the lines.
        pack: How many lines share a sub-query of the recipe; "auto" for what fits.
    """

    def __init__(
        self,
        *,
        sub_lm: Any = None,
        budget: Budget | None = None,
        planned: bool = False,
        labels: Sequence[str] = (),
        pack: int | Literal["auto"] = "auto",
    ) -> None:
        recipe = joined("lines", "aggregate").with_parameters(labels=list(labels), pack=pack)
        super().__init__(
            AnswerOverLines, sub_lm=sub_lm, budget=budget, recipe=None if planned else recipe
        )
