r"""`Pairs`: lists all pairs of users that satisfy a condition on their lines' labels.

Every line gets its label by a typed sub-query, unless the lines show their labels; users and pairs
are tested in code. By its recipe nothing is planned; planned, a model writes the code.

>>> lines = "".join(
...     f"Date: Mar {day:02}, 2024 || User: {user} || Instance: thing {day} || Label: {label}\n"
...     for day, user, label in [(1, 17, "plant"), (2, 23, "animal"), (3, 42, "plant")]
... )
>>> result = Pairs()(
...     context=lines,
...     question="In the above data, list all pairs of user IDs (no duplicate pairs, list lower "
...     "ID first) where both users have at least one instance with a plant or plant.",
... )
>>> result.answer
'(17, 42)'
"""

from typing import Any

import dspy

from programs.recipes import joined
from rlm_dspy import RLM, Budget


class ListPairs(dspy.Signature):
    """List all pairs of users that satisfy the condition, exactly.

    Read the lines with a regular expression. Get the label of every line with ask_each and a
    Literal of the labels; never guess labels by words. Then test users and pairs in code.
    """

    context: str = dspy.InputField()
    question: str = dspy.InputField()
    answer: str = dspy.OutputField(desc="a pair a line, as (lower_id, higher_id)")


class Pairs(RLM):
    """Lists pairs of users.

    Args:
        sub_lm: The sub-queries' model, or its name.
        budget: The limits of a run.
        planned: Whether a model plans instead of the recipe.
    """

    def __init__(
        self, *, sub_lm: Any = None, budget: Budget | None = None, planned: bool = False
    ) -> None:
        recipe = None if planned else joined("lines", "pairs")
        super().__init__(ListPairs, sub_lm=sub_lm, budget=budget, recipe=recipe)
