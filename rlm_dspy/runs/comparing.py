"""In what two recorded runs differ, for a reader."""

import difflib
from collections.abc import Sequence
from typing import Any

from rlm_dspy.runs.stored import Stored


def differences(first: Stored, second: Stored) -> list[str]:
    """What differs between two runs.

    Args:
        first: A run.
        second: Another one.

    Returns:
        Lines: what was asked of which models, the code and the output of each step as a unified
        diff, the answers, and what each cost where anything else differs.
    """
    lines = _facts(first, second)
    ones, others = first.run.trajectory, second.run.trajectory
    for number in range(max(len(ones), len(others))):
        for part in ("code", "output"):
            one, other = _of(ones, number, part), _of(others, number, part)
            lines += difflib.unified_diff(
                one.splitlines(),
                other.splitlines(),
                f"{first.row.id} step {number + 1} {part}",
                f"{second.row.id} step {number + 1} {part}",
                lineterm="",
            )
    for name in {**first.answer, **second.answer}:
        lines += _pair(name, first.answer.get(name), second.answer.get(name))
    if lines:
        lines += _pair("cost", _cost(first), _cost(second))
    return lines


def _facts(first: Stored, second: Stored) -> list[str]:
    lines: list[str] = []
    for name in ("question", "signature", "model", "sub_model", "state", "reason"):
        lines += _pair(name, getattr(first.row, name), getattr(second.row, name))
    return lines


def _of(steps: Sequence[dict[str, Any]], number: int, part: str) -> str:
    return str(steps[number][part]) if number < len(steps) else ""


def _pair(name: str, one: Any, other: Any) -> list[str]:
    return [] if one == other else [f"- {name}: {one}", f"+ {name}: {other}"]


def _cost(stored: Stored) -> str:
    spend = stored.run.spend
    return (
        f"{spend.steps} steps, {spend.calls} calls, {spend.tokens:,} tokens, ${spend.dollars:.4f}, "
        f"{spend.seconds:.1f} s"
    )
