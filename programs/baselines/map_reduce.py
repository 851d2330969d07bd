r"""`MapReduce`: every piece of the text is asked, and one call combines what they say.

>>> import dspy
>>> from rlm_dspy.testing import ScriptedLM
>>> lm = ScriptedLM(lambda asked: "nothing" if "5309" not in asked.last else "5309")
>>> text = "Rain fell all day.\n" * 1_000 + "The code is 5309.\n"
>>> with dspy.context(lm=lm):
...     result = MapReduce()(context=text, question="What is the code?")
>>> result.answer, result.run.spend.calls
('5309', 2)
"""

from typing import Any

from programs.rlm import AnswerOverContext
from rlm_dspy import RLM, Budget, Recipe

# A piece that fits, question and reply included, a window of 8,192 tokens.
CHUNK_CHARS = 12_000
STEP = """
pieces = context.chunks(chunk_chars)
asked = question + (
    "\\nThe text is one part of many. Say in few words all that it tells towards the answer, "
    "such as values or counts; say 'nothing' where it tells nothing."
)
said = ask_each(asked, pieces, pack=1)
findings = [part for part in said if part and part.strip().lower().strip(".") != "nothing"]
whole = question + "\\nThe texts below are what the parts of one long text tell towards the answer."
SUBMIT(answer=combine(whole if len(findings) > 1 else question, findings or ["nothing"]))
"""


class MapReduce(RLM):
    """Asks about every piece, then combines; the sub-model does both.

    Args:
        sub_lm: The model that is asked, or its name.
        budget: The limits of a run.
        chunk_chars: How long a piece is, characters.
    """

    def __init__(
        self, *, sub_lm: Any = None, budget: Budget | None = None, chunk_chars: int = CHUNK_CHARS
    ) -> None:
        recipe = Recipe("map_reduce", (STEP,), {"chunk_chars": chunk_chars})
        super().__init__(AnswerOverContext, sub_lm=sub_lm, budget=budget, recipe=recipe)
