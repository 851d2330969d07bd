"""What the planner is told of the questions that were asked before in its session."""

from collections.abc import Mapping, Sequence
from typing import Any

from rlm_dspy.fencing import fence

# How much of one question and of one answer is told, and of all of it, in characters.
QUESTION_CHARS, ANSWER_CHARS, ALL_CHARS = 300, 500, 6_000
# How many variables are named.
NAMES = 40


def earlier(
    asked: Sequence[tuple[str, Mapping[str, Any]]], variables: Mapping[str, str], inputs: set[str]
) -> str:
    """What was asked and answered before, and what code defined; empty before the first question.

    Args:
        asked: The questions with their outputs, in order; the oldest are left out where it is much.
        variables: What is defined in the REPL: the type and size by name.
        inputs: The names of the inputs, which are told of elsewhere.
    """
    if not asked:
        return ""
    lines: list[str] = []
    room = ALL_CHARS
    for number, (question, outputs) in reversed(list(enumerate(asked, 1))):
        line = f"{number}. {_cut(question, QUESTION_CHARS)}\n   {_answers(outputs)}"
        if (room := room - len(line)) < 0:
            lines.append("…")
            break
        lines.append(line)
    told = "Asked and answered before in this session:\n" + fence("earlier", "\n".join(lines[::-1]))
    own = [f"{name} ({said})" for name, said in variables.items() if name not in inputs]
    if own:
        more = f" and {len(own) - NAMES} more" if len(own) > NAMES else ""
        told += f"\nStill defined (show_vars() lists all): {', '.join(own[:NAMES])}{more}"
    return told


def _answers(outputs: Mapping[str, Any]) -> str:
    named = (f"{name} = {_cut(repr(value), ANSWER_CHARS)}" for name, value in outputs.items())
    return "; ".join(named) or "(no answer)"


def _cut(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]}…"
