"""What sub-queries said lines are, beside what they are."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import dspy

from eval.oolong import parsed_lines

# How the items that share a call are numbered, and their answers.
_ITEM = re.compile(r"^(\d+): (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Labelled:
    """A line that a sub-query labelled.

    Args:
        text: The line.
        label: Its label.
        answer: What the sub-query said.
    """

    text: str
    label: str
    answer: str

    @property
    def right(self) -> bool:
        """Whether the sub-query was right."""
        return self.answer == self.label


def labelled(example: dspy.Example, calls: Iterable[Any]) -> Iterator[Labelled]:
    """The lines of an example that calls of a predictor labelled, alone or many to a call.

    Args:
        example: Its `labelled_context` tells the right labels; without one there are no lines.
        calls: The calls, as (predictor, inputs, outputs).
    """
    known = {
        line.text: line.label for line in parsed_lines(str(example.get("labelled_context", "")))
    }
    for _, inputs, outputs in calls if known else ():
        text, said = str(inputs.get("text")), str(outputs.get("response"))
        items = _ITEM.findall(text)
        answers = dict(_ITEM.findall(said)) if items else {"": said}
        for number, item in items or [("", text)]:
            label = known.get(item, known.get(_instance(item)))
            if label is not None:
                yield Labelled(item, label, answers.get(number, "nothing").strip())


def label_counts(example: dspy.Example, calls: Iterable[Any]) -> dict[str, int]:
    """How many lines were labelled, and how many of them right; a line's last label counts.

    Args:
        example: The example.
        calls: The calls, as (predictor, inputs, outputs).

    Returns:
        `right` and `asked`; nothing where no line was asked about.
    """
    last = {line.text: line.right for line in labelled(example, calls)}
    return {"right": sum(last.values()), "asked": len(last)} if last else {}


def _instance(text: str) -> str:
    """The one line that a text is; "" where it is none, or a passage of several."""
    lines = parsed_lines(text)
    return lines[0].text if len(lines) == 1 else ""
