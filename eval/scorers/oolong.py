"""The scorers of OOLONG: synth, real and pairs.

Sources: `synth_process_response` and `dnd_process_response` of abertsch72/oolong
`src/eval/eval_helpers.py` (MIT, commit adbf1cb56a0b); `_synth_score` of alexzhang13/rlm
`training/environments/oolong/oolong/env.py` (MIT). OOLONG-Pairs has no official scorer: its rule is
the F1 over the pairs that a text names in round brackets.
"""

import ast
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

from eval.scorers.dates import TodayNeeded, parsed_date
from eval.scorers.unscored import RAISED, Unscored, unscored_where_it_raises
from rlm_dspy import ConfigurationError

NUMERIC, DATE = "ANSWER_TYPE.NUMERIC", "ANSWER_TYPE.DATE"
# Credit for a number that is off by n is this to the power of n.
NEAR = 0.75
# An answer below this length is taken whole, characters.
SHORT = 20

_PHRASES = ("more common", "less common", "same frequency")
_LONG_PHRASES = ("more common than", "less common than", "same frequency as")
_BOXED_TEXT = re.compile(r"\\boxed\{\\text\{([^}]*)\}\}")
_BOXED = re.compile(r"\\boxed[\{]+([^}]*)[\}]+")
_PAIR = re.compile(r"\(\s*(\d+)\s*,\s*(\d+)\s*\)")


@unscored_where_it_raises
def oolong_synth(
    candidate: str,
    gold: str,
    answer_type: str,
    variant: Literal["official", "rlm_env"] = "official",
) -> float:
    """Scores an answer to an OOLONG-synth question.

    Args:
        candidate: What was answered, whole.
        gold: The dataset's `answer`: the repr of a list, of which only the first counts.
        answer_type: The dataset's `answer_type`, such as "ANSWER_TYPE.NUMERIC".
        variant: "official", or "rlm_env" for the one of the RLM authors' training environment.

    Returns:
        From 0.0 to 1.0.

    Raises:
        ConfigurationError: There is no such variant.

    Example:
        >>> oolong_synth("Answer: 12", "[14]", "ANSWER_TYPE.NUMERIC")
        0.5625
    """
    if variant not in ("official", "rlm_env"):
        raise ConfigurationError(f"variant={variant!r} is neither 'official' nor 'rlm_env'.")
    try:
        if variant == "rlm_env":
            return _synth_rlm_env(candidate, gold, answer_type)
        return _synth_official(candidate, first_gold(gold), answer_type)
    except TodayNeeded:
        return Unscored("The answer names a part of a date: what it is depends on today.")


def first_gold(gold: str) -> Any:
    """The gold that counts, of the repr of a list."""
    if "datetime" in gold:
        return datetime.strptime(gold, "[datetime.date(%Y, %m, %d)]")
    return ast.literal_eval(gold)[0]


def said_in(candidate: str) -> str:
    """The part of an answer that counts: after the last colon, or whole, or its last word."""
    if ":" not in candidate:
        return candidate if len(candidate) < SHORT else candidate.split()[-1]
    said = candidate.split(":")[-1].strip()
    return said.replace("*", "").replace("[", "").replace("]", "")


def _synth_official(candidate: str, gold: Any, answer_type: str) -> float:
    said = said_in(candidate)
    if ":" in candidate and len(said) >= SHORT:
        said = next((phrase for phrase in _PHRASES if phrase in said), said)
    if said == str(gold):
        return 1.0
    if said in _PHRASES:
        return float(said in str(gold))
    if answer_type == NUMERIC:
        return _near(said, gold)
    if answer_type == DATE:
        return _same_date(said, gold)
    return 0.0


def _synth_rlm_env(candidate: str, gold: str, answer_type: str) -> float:
    try:
        right = first_gold(gold)
    except RAISED:  # a gold that is no literal is used as it is
        right = gold
    text = str(right)
    phrases = [(candidate.lower().rfind(p), p) for p in _LONG_PHRASES if p in candidate.lower()]
    said = max(phrases)[1] if phrases else said_in(candidate)
    if said.lower() == text.lower():
        return 1.0
    if answer_type == NUMERIC:
        return _near(said, right)
    if answer_type == DATE:
        return _same_date(said, right)
    named = text.lower() in candidate.lower() and text.lower() not in _LONG_PHRASES
    return float(bool(text) and named)


def _near(said: str, gold: Any) -> float:
    try:
        return NEAR ** abs(int(gold) - int(said))
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _same_date(said: str, gold: Any) -> float:
    try:
        return float(parsed_date(said) == gold)
    except TodayNeeded:
        raise
    except Exception:  # noqa: BLE001 - as in the official code: dateutil raises many kinds
        return 0.0


@unscored_where_it_raises
def oolong_real(candidate: str, gold: str) -> float:
    r"""Scores an answer to an OOLONG-real question.

    Args:
        candidate: What was answered, whole; the answer is read from its first
            `\boxed{\text{…}}`, else its first `\boxed{…}`, else it is the text itself.
        gold: The dataset's `answer`: a number, a list with commas, or a text.

    Returns:
        From 0.0 to 1.0; answers of another type than the gold's score 0.0.

    Example:
        >>> oolong_real(r"\boxed{84}", "85")
        0.75
    """
    return _real(_boxed(candidate), _typed(gold))


def _boxed(candidate: str) -> int | str | list[str]:
    match = _BOXED_TEXT.search(candidate) or _BOXED.search(candidate)
    return _typed(match[1]) if match else candidate


def _typed(answer: str) -> int | str | list[str]:
    try:
        return int(answer)
    except ValueError:
        pass
    if "," in answer:
        return [item.strip() for item in answer.split(",") if item.strip()]
    return answer


def _real(said: int | str | list[str], gold: int | str | list[str]) -> float:
    if isinstance(gold, int) and isinstance(said, int):
        return NEAR ** abs(gold - said)
    if isinstance(gold, str) and isinstance(said, str):
        return float(gold.strip().lower() == said.strip().lower())
    if isinstance(gold, list) and isinstance(said, list):
        return len(set(gold) & set(said)) / len(gold) if gold else 0.0
    return 0.0


@unscored_where_it_raises
def oolong_pairs(candidate: Any, gold: Sequence[Sequence[int]]) -> float:
    """Scores a list of pairs of user ids.

    Args:
        candidate: What was answered, whole: every "(1, 2)" in it is a pair. What is no text is
            read as Python prints it, a dict with an "answer" as that.
        gold: The right pairs, in any order.

    Returns:
        The F1 of the two sets of unordered pairs; 1.0 where both are empty. `Unscored` where the
        right ones are no pairs of ints.

    Example:
        >>> oolong_pairs("(2, 1)", [(1, 2), (1, 3)])
        0.6666666666666666
    """
    if isinstance(candidate, dict):
        candidate = candidate.get("answer", candidate)
    said, right = named_pairs(str(candidate)), right_pairs(gold)
    if not said or not right:
        return float(not said and not right)
    hits = len(said & right)
    precision, recall = hits / len(said), hits / len(right)
    return 2 * precision * recall / (precision + recall) if hits else 0.0


def named_pairs(text: str) -> set[tuple[int, int]]:
    """The pairs that a text names, each with the lower number first."""
    return _unordered((int(first), int(second)) for first, second in _PAIR.findall(text))


def right_pairs(gold: Sequence[Sequence[int]]) -> set[tuple[int, int]]:
    """The pairs of a gold, each with the lower number first.

    Raises:
        ValueError: They are no pairs of ints.
    """
    if not isinstance(gold, (list, tuple, set, frozenset)) or not all(map(_is_pair, gold)):
        raise ValueError("the gold is no list of pairs of ints")
    return _unordered((first, second) for first, second in gold)


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and all(isinstance(number, int) and not isinstance(number, bool) for number in value)
    )


def _unordered(pairs: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    return {(min(pair), max(pair)) for pair in pairs}
