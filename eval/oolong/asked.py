"""A question over a context, and the block of counting questions that all task groups share.

Source: `task_constructors` of abertsch72/oolong (MIT): which questions are asked, when, in which
words, with which gold. The words are theirs, mistakes included.
"""

import ast
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

Group = Literal["counting", "user", "timeline"]
Gold = str | int | date

# Shares that differ by no more than this are too close to ask which is greater, unless equal.
CLOSE = 0.02
ALL = "In the above data,"
_DATE = re.compile(r"datetime\.date\((\d+), (\d+), (\d+)\)")
_PREFIX = {"LABEL": "Label", "USER": "User", "DATE": "Date"}


@dataclass(frozen=True)
class Question:
    """One question.

    Args:
        group: The task group.
        task: The kind of question, such as "MOST_FREQ".
        answer_type: The kind of answer, such as "NUMERIC".
        text: The question.
        gold: What is right: several where they tie, of which the scorer takes the first.
        subset: Whether it is asked of a part of the lines.
    """

    group: Group
    task: str
    answer_type: str
    text: str
    gold: tuple[Gold, ...]
    subset: bool = False

    @property
    def answer(self) -> str:
        """A right answer in the form that the question asks for."""
        return answer_text(self.gold[0], self.answer_type)


def answer_text(gold: Gold, answer_type: str) -> str:
    """A value as an answer that the scorer reads: "Answer: 12", "Date: 03/15/2023"."""
    said = gold.strftime("%m/%d/%Y") if isinstance(gold, date) else str(gold)
    return f"{_PREFIX.get(answer_type, 'Answer')}: {said}"


def golds_of(answer: str) -> list[Gold]:
    """The values of a dataset's `answer`, the repr of a list."""
    if dates := _DATE.findall(answer):
        return [date(int(year), int(month), int(day)) for year, month, day in dates]
    return ast.literal_eval(answer)


def counting(counts: Mapping[str, int], group: Group = "counting") -> Iterator[Question]:
    """The counting block over label counts, in the counts' order; nothing where there are none."""
    if not counts:
        return
    total = sum(counts.values())
    shares = {label: count / total for label, count in counts.items()}
    listed = ", ".join(counts)
    most = [label for label in counts if counts[label] == max(counts.values())]
    least = [label for label in counts if counts[label] == min(counts.values())]
    rest = [abs(shares[most[0]] - share) for label, share in shares.items() if label != most[0]]
    form = (
        "Give your final answer in the form 'Label: answer' where answer is one of the labels: "
        f"{listed}."
    )
    which = f"{ALL} which of the labels is the"
    if len(most) == 1 and min(rest, default=1) > CLOSE:
        text = f"{which} most common? {form}"
        yield Question(group, "MOST_FREQ", "LABEL", text, tuple(most))
    yield Question(group, "LEAST_FREQ", "LABEL", f"{which} least common? {form}", tuple(least))
    for a, b in itertools.combinations(counts, 2):
        if abs(shares[a] - shares[b]) > CLOSE or counts[a] == counts[b]:
            text = (
                f"{ALL} is label '{a}' more common, less common, or the same frequency as label "
                f"'{b}'? Give your final answer in the form 'Answer: {a} is [X] {b}', where [X] is "
                "'more common than', 'less common than', or 'same frequency as'."
            )
            phrases = ("more common than", "less common than", "same frequency as")
            gold = compared(counts[a], counts[b], phrases)
            yield Question(group, "RELATIVE_FREQ", "COMPARISON", text, (gold,))
    for label, count in counts.items():
        text = (
            f"{ALL} how many data points should be classified as label '{label}'? Give your final "
            "answer in the form 'Answer: number'."
        )
        yield Question(group, "NUMERIC_ONE_CLASS", "NUMERIC", text, (count,))


def of_subset(labels: Sequence[str], group: Group, about: str) -> Iterator[Question]:
    """The counting block over a part of the lines.

    Args:
        labels: The labels of the part's lines.
        group: The task group.
        about: What stands in place of "In the above data,".
    """
    for question in counting(Counter(labels), group):
        yield replace(question, text=question.text.replace(ALL, about), subset=True)


def compared(a: float, b: float, phrases: tuple[str, str, str]) -> str:
    """The phrase for more, for less or for the same."""
    more, less, same = phrases
    return more if a > b else less if a < b else same


def ranked(values: Sequence[Gold]) -> list[tuple[Gold, int]]:
    """Values with their counts, the most frequent first, ties in order of appearance."""
    return sorted(Counter(values).items(), key=lambda item: -item[1])
