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
import re
from collections import Counter
lines = [line for line in {context}.splitlines() if " || Instance: " in line]
texts = [line.partition(" || Instance: ")[2] for line in lines]"""
# The same line asks in every plan: a small model that is shown plans mixes them where they differ.
_ASKED = """
names = {names}
if not all(labels):
    asked = "Which of these is it: " + ", ".join(names) + "?"
    labels = ask_each(asked, texts, returns={{"enum": names}})
"""
# Read where the text lists them: a small model that is shown plans with the names in them copies
# names from the beginning of a text that its prompt shows, which is cut in the middle of one.
_LISTED = """sorted(re.findall(r"'([^']+)'", {context}[: {context}.find("Date: ")]))"""
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
        lists_names: Whether the text is known to list them, in quotes, before its first line.
    """

    question: str
    context: str
    output: str
    names: Sequence[str] = ()
    lists_names: bool = False

    def rows(self) -> str:
        """Code that parses the lines to `rows` of (date, user, text, label or "")."""
        return _ROWS.format(months=[name[:3] for name in MONTHS], context=self.context)

    def texts_and_labels(self) -> str:
        """Code that gets the lines' `texts` and `labels`, by sub-queries where they show none."""
        texts = _TEXTS.format(context=self.context)
        return f"{texts}{_TEXT_LABELS}{self._asked()}print(Counter(labels))\n"

    def labels(self) -> str:
        """Code that gets the `labels` of `part`, by sub-queries where the rows show none."""
        return _LABELS + self._asked()

    def _asked(self) -> str:
        listed = _LISTED.format(context=self.context)
        return _ASKED.format(names=listed if self.lists_names else list(self.names))
