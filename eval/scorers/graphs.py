"""The scorer of GraphWalks.

Source: the code on the dataset card of openai/graphwalks (MIT). Taken literally it does not do what
its text says: the first item keeps the words "Final Answer: [", so the first node never matches,
and an answer that hits nothing scores 1. So there are two variants, to be reported by name.
"""

import re
from collections.abc import Sequence
from typing import Literal

from eval.scorers.unscored import unscored_where_it_raises
from rlm_dspy import ConfigurationError

_LIST = re.compile(r"Final Answer: ?\[(.*)\]")


@unscored_where_it_raises
def graphwalks(
    candidate: str, gold: Sequence[str], variant: Literal["card", "intended"] = "card"
) -> float:
    """Scores a list of nodes: the last line's "Final Answer: [a, b]".

    Args:
        candidate: What was answered, whole.
        gold: The right nodes.
        variant: "card" for the card's code as it stands; "intended" for the F1 that its text
            describes: 0.0 without a list or a hit, 1.0 where both lists are empty.

    Returns:
        From 0.0 to 1.0.

    Raises:
        ConfigurationError: There is no such variant.

    Example:
        >>> graphwalks("Final Answer: [a, b]", ["a", "b"])
        0.5
        >>> graphwalks("Final Answer: [a, b]", ["a", "b"], "intended")
        1.0
    """
    if variant not in ("card", "intended"):
        raise ConfigurationError(f"variant={variant!r} is neither 'card' nor 'intended'.")
    match = _LIST.search(candidate.split("\n")[-1])
    right = set(gold)
    if variant == "card":
        said = _items(match[0].strip("[]")) if match else set()
        return _f1(said, right, nothing=1.0)
    if match is None:
        return 0.0
    said = _items(match[1])
    return _f1(said, right, nothing=float(not said and not right))


def _items(text: str) -> set[str]:
    return {item.strip() for item in text.split(",") if item.strip()}


def _f1(said: set[str], right: set[str], nothing: float) -> float:
    hits = len(said & right)
    recall = hits / len(right) if right else 0.0
    precision = hits / len(said) if said else 0.0
    if recall + precision > 0:
        return 2 * (recall * precision) / (recall + precision)
    return nothing
