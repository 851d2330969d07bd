"""Why a prediction got its score, in words for a model that rewrites prompts.

The reason is taken from the answer, from the run's events (`pred.run`), and, for one predictor,
from its own calls: what was asked, what failed, what the sub-queries said and what was right.
Programs without a run get what can be said of their answer.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import dspy

from eval.labelling import labelled
from eval.oolong import parsed_lines
from eval.scorers import Unscored
from eval.scorers.oolong import first_gold, named_pairs, right_pairs, said_in
from eval.scorers.unscored import RAISED

# The longest value that is quoted, and how many values of a list are, characters and items.
QUOTED, LISTED = 200, 5
_NO_LABELS = (
    "The lines show no labels: what each is has to be judged by its meaning, by one sub-query an "
    "item (ask_each with a Literal of the labels as its type); only the counting is for code."
)
_NOT_READ = (
    "The right value is in the answer, but it is not what is read: that is what follows the last "
    "colon, without a colon the whole of a text below 20 characters, else its last word."
)


def reason(
    example: dspy.Example,
    text: str,
    metric: str,
    score: float,
    *,
    run: Any = None,
    calls: Iterable[Any] | None = None,
) -> str:
    """Says why a score is what it is.

    Args:
        example: What was asked.
        text: What was answered.
        metric: The metric's name.
        score: The score.
        run: The run that answered, a `rlm_dspy.Run`; None where there was none.
        calls: The calls of one predictor, as (predictor, inputs, outputs).

    Returns:
        A few sentences.
    """
    parts = [f"Score {score:.2f} ({metric})."]
    if isinstance(score, Unscored):
        parts.append(score.reason)
    parts += _of_answer(example, text, metric, score)
    parts += _of_calls(example, calls or ())
    if run is not None:
        parts += _of_run(example, run)
    return " ".join(parts)


def golds(example: dspy.Example) -> list[str]:
    """What is right, as texts; of a list each."""
    gold = example.gold
    return [str(value) for value in gold] if isinstance(gold, (list, tuple)) else [str(gold)]


def _of_answer(example: dspy.Example, text: str, metric: str, score: float) -> list[str]:
    what = "judgement" if metric == "browsecomp_judge" else "answer"
    right = str(example.get("answer", example.gold))
    if score >= 1:
        return [f"The {what} {_quoted(text)} has the full score."]
    if not text.strip():
        return [f"There was no {what}; right is {_quoted(right)}."]
    parts = [f"The {what} was {_quoted(text)}; right is {_quoted(right)}."]
    if isinstance(score, Unscored):
        return parts
    if metric.startswith("oolong_synth") and _is_passed_over(example, text):
        parts.append(_NOT_READ)
    if metric == "ruler":
        missing = [value for value in golds(example) if value.lower() not in text.lower()]
        parts.append(f"Missing: {_listed(missing)}.")
    if metric == "oolong_pairs":
        said, gold = named_pairs(text), right_pairs(example.gold)
        missing, wrong = sorted(gold - said), sorted(said - gold)
        parts.append(f"Missing: {_listed(missing)}. Wrong: {_listed(wrong)}.")
    return parts


def _is_passed_over(example: dspy.Example, text: str) -> bool:
    """Whether an answer names the right value, but not in the part that is read."""
    try:
        right = re.compile(rf"(?<!\w){re.escape(str(first_gold(example.gold)))}(?!\w)")
    except RAISED:  # what is no repr of a list
        return False
    is_read = ":" in text and right.search(said_in(text))
    return right.search(text) is not None and not is_read


def _of_calls(example: dspy.Example, calls: Iterable[Any]) -> list[str]:
    """What a predictor's own calls got wrong, where they read lines whose labels are known."""
    parts = []
    for call in calls:
        lines = list(labelled(example, [call]))
        wrong = [
            f"{_short(line.text)} is {line.label}, not {line.answer}"
            for line in lines
            if not line.right
        ]
        if lines:
            parts.append(f"Sub-query: {len(lines) - len(wrong)} of {len(lines)} labels right.")
            parts += [f"Wrong: {_listed(wrong)}."] if wrong else []
    return parts


def _of_run(example: dspy.Example, run: Any) -> list[str]:
    events = run.events
    steps = [event for event in events if event.kind == "executed"]
    parts = [f"The run ended {run.status} after {len(steps)} steps (planned by: {run.planned_by})."]
    if run.reason:
        parts.append(f"Reason: {run.reason}.")
    failed = [event.output.rpartition("[Error] ")[2] for event in steps if event.outcome == "error"]
    if failed:
        parts.append(f"Code failed in {len(failed)} steps: {_listed(failed)}.")
    refused = [event.error for event in events if event.kind == "submitted" and not event.accepted]
    if refused:
        parts.append(f"SUBMIT was refused: {_listed(refused)}.")
    return parts + _of_sub_queries(example, events)


def _of_sub_queries(example: dspy.Example, events: Iterable[Any]) -> list[str]:
    asked: Counter[str] = Counter()
    for event in events:
        if event.kind == "sub_query_started":
            asked[event.operator] += event.items
    unlabelled = example.get("label_names") and " || Label: " not in example.context
    if not asked:
        return ["No sub-query was asked.", *([_NO_LABELS] if unlabelled else [])]
    counts = ", ".join(f"{operator} for {count} items" for operator, count in asked.items())
    parts = [f"Sub-queries asked: {counts}."]
    failed = [event.reason for event in events if event.kind == "sub_query_failed"]
    if failed:
        parts.append(f"{len(failed)} of them failed: {_listed(sorted(set(failed)))}.")
    if unlabelled:
        answered = [event.value for event in events if event.kind == "sub_query_answered"]
        values = [v for value in answered for v in (value if isinstance(value, list) else [value])]
        said = Counter(value for value in values if value in example.label_names)
        right = Counter(line.label for line in parsed_lines(example.labelled_context))
        if said:
            parts.append(
                f"They gave the labels {_counts(said)}; all {right.total()} lines together have "
                f"{_counts(right)}."
            )
    return parts


def _counts(labels: Counter[str]) -> str:
    return ", ".join(f"{label} {count}" for label, count in sorted(labels.items())) or "none"


def _listed(values: list[Any]) -> str:
    if not values:
        return "none"
    shown = "; ".join(_short(str(value)) for value in values[:LISTED])
    more = len(values) - LISTED
    return f"{shown}; and {more} more" if more > 0 else shown


def _quoted(text: str) -> str:
    return repr(_short(text))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= QUOTED else f"{text[:QUOTED]}…"
