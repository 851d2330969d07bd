"""What a planner reads in its prompt, and the code that plans over lines share."""

from collections.abc import Sequence
from dataclasses import dataclass

from eval.oolong.lines import MONTHS

_ROWS = r"""
import re
from collections import Counter
from datetime import date
months = {months}
rows = []
pattern = r"Date: (\w{{3}}) (\d{{2}}), (\d{{4}}) \|\| User: (\d+) \|\| Instance: (.*)"
for month, day, year, user, text in re.findall(pattern, {context}):
    text, mark, label = text.partition(" || Label: ")
    rows.append((date(int(year), months.index(month) + 1, int(day)), int(user), text, label))
print(len(rows), rows[:2])
"""
_TEXTS = r"""
lines = [line for line in {context}.splitlines() if " || Instance: " in line]
texts = [line.partition(" || Instance: ")[2] for line in lines]"""
# The same line asks in every plan: a small model that is shown plans mixes them where they differ.
_ASKED = """
if not all(labels):
    labels = ask_each("Which of these is it: {listed}?", texts, returns={{"enum": {names}}})
"""
_TEXT_LABELS = """
labels = [text.partition(" || Label: ")[2] for text in texts]"""
_LABELS = """
texts = [text for day, user, text, label in part]
labels = [label for day, user, text, label in part]"""


@dataclass(frozen=True)
class Reading:
    """A question, and where things are.

    Args:
        question: The question.
        context: The name of the variable that holds the text.
        output: The output to submit.
        names: The labels that the lines may have; empty where there are none.
    """

    question: str
    context: str
    output: str
    names: Sequence[str] = ()

    def rows(self) -> str:
        """Code that parses the lines to `rows` of (date, user, text, label or "")."""
        return _ROWS.format(months=[name[:3] for name in MONTHS], context=self.context)

    def texts(self) -> str:
        """Shorter code, where dates and users do not matter: the lines' `texts`."""
        return _TEXTS.format(context=self.context)

    def text_labels(self) -> str:
        """Code that gets the `labels` of `texts`, by sub-queries where they show none."""
        return _TEXT_LABELS + self._asked()

    def labels(self) -> str:
        """Code that gets the `labels` of `part`, by sub-queries where the rows show none."""
        return _LABELS + self._asked()

    def _asked(self) -> str:
        return _ASKED.format(listed=", ".join(self.names), names=list(self.names))
