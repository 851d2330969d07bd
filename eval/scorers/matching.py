"""Scorers that compare an answer's text with the gold's: RULER, LongBench v2, MRCR.

Sources: `string_match_all` and `string_match_part` of NVIDIA/RULER
`scripts/eval/synthetic/constants.py` and `postprocess_pred` of its `scripts/eval/evaluate.py`
(Apache-2.0); `extract_answer` of THUDM/LongBench `pred.py` (MIT); `grade` of the dataset card of
openai/mrcr (MIT).
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Literal

from eval.scorers.unscored import unscored_where_it_raises
from rlm_dspy import ConfigurationError

_CONTROL = re.compile(r"[\x00-\x1f]")
_CHOICE = re.compile(r"The correct answer is \(([A-D])\)")
_PLAIN_CHOICE = re.compile(r"The correct answer is ([A-D])")


@unscored_where_it_raises
def ruler(
    candidates: Sequence[str],
    golds: Sequence[Sequence[str]],
    match: Literal["all", "part"] = "all",
) -> float:
    """Scores a batch of RULER answers.

    Args:
        candidates: What was answered, one text a row.
        golds: The right values of each row.
        match: "all" for the share of a row's golds that its answer contains, "part" for any of
            them.

    Returns:
        The mean over the rows, from 0 to 100, rounded to two decimals.

    Raises:
        ConfigurationError: There is no such match.

    Example:
        >>> ruler(["It is 7.", "7 and 8"], [["7"], ["7", "9"]])
        75.0
    """
    if match not in ("all", "part"):
        raise ConfigurationError(f"match={match!r} is neither 'all' nor 'part'.")
    rows = [
        [1.0 if value.lower() in said.lower() else 0.0 for value in values]
        for said, values in zip(candidates, golds, strict=False)
    ]
    # `sum` over lists, as in the source: another order of additions has another last bit.
    scores = [sum(row) / len(row) if match == "all" else max(row) for row in rows]
    return round(sum(scores) / len(candidates) * 100, 2)


def ruler_postprocess(candidate: str) -> str:
    """What RULER does with an answer before it is scored: strips it, control characters too."""
    return _CONTROL.sub("\n", candidate.strip()).strip()


@unscored_where_it_raises
def longbench_v2(candidate: str, gold: str) -> float:
    """Scores an answer to a multiple-choice question of LongBench v2.

    Args:
        candidate: What was answered, whole: "The correct answer is (A)", or without brackets.
        gold: "A", "B", "C" or "D".

    Returns:
        1.0 or 0.0.
    """
    said = candidate.replace("*", "")
    choice = _CHOICE.search(said) or _PLAIN_CHOICE.search(said)
    return float(choice is not None and choice[1] == gold)


@unscored_where_it_raises
def mrcr(candidate: str, gold: str, prefix: str) -> float:
    """Scores an MRCR answer: how much of the gold's text it repeats.

    Args:
        candidate: What was answered, whole.
        gold: The dataset's `answer`, its prefix included.
        prefix: The dataset's `random_string_to_prepend`, which an answer must begin with.

    Returns:
        The ratio of `difflib.SequenceMatcher`, from 0.0 to 1.0.
    """
    if not candidate.startswith(prefix):
        return 0.0
    said, right = candidate.removeprefix(prefix), gold.removeprefix(prefix)
    # The order of the two, and the default `autojunk`, change the ratio.
    return float(SequenceMatcher(None, said, right).ratio())
