"""A scripted model that is good only with the right prompts, and rewrites prompts when asked to."""

import json
import random
import re
from collections.abc import Callable, Collection

import dspy

from eval.oracle import Oracle
from rlm_dspy.testing import Asked, ScriptedLM, code

PLAN, LABEL = "LABEL THE LINES FIRST.", "JUDGE BY MEANING."
WRONG_PLAN = code("SUBMIT(answer='Answer: 100000')")


def prompted_lm(
    examples: list[dspy.Example],
    *,
    good_for: Callable[[str], bool] = lambda prompt: True,
    seconds: float = 0.0,
    needs: Collection[str] = (PLAN, LABEL),
    sampled: bool = False,
    model: str = "scripted",
) -> ScriptedLM:
    """A planner and sub-model that does right where its prompt says how, or shows it by a demo.

    Args:
        examples: What it can know.
        good_for: Whether even a right prompt helps, by the prompt.
        seconds: How long a reply takes.
        needs: Which of the two hints it needs.
        sampled: Whether one plan in two is right without any hint.
        model: Its name.
    """
    oracle = Oracle(examples)
    return ScriptedLM(
        lambda asked: _reply(asked, oracle, good_for, needs, sampled), model=model, seconds=seconds
    )


def _reply(
    asked: Asked,
    oracle: Oracle,
    good_for: Callable[[str], bool],
    needs: Collection[str],
    sampled: bool,
) -> str:
    if (proposed := _proposal(asked)) is not None:
        return proposed
    planner = "Functions, already defined:" in asked.system
    hint = PLAN if planner else LABEL
    demos = _demos(asked) if planner else len(asked.turns) - 1
    knows = hint not in needs or hint in asked.system or demos > 0
    begun = asked.turns[-2:-1] and "SIMULATED plan" in asked.turns[-2][1]
    lucky = planner and sampled and (begun or random.Random(asked.number).random() < 0.5)
    if not (knows and good_for(asked.text)) and not lucky:
        return WRONG_PLAN if planner else _wrong_labels(asked.last)
    return oracle.reply(asked.system, asked.turns[demos if planner else 0 :])


def _demos(asked: Asked) -> int:
    """How many turns stand before the one that shows this run's variables: the last such."""
    shown = [at for at, (_, text) in enumerate(asked.turns) if text.startswith("context")]
    return shown[-1] if shown else 0


def _wrong_labels(text: str) -> str:
    options = re.search(r"exactly one of: (.+)\.", text)
    wrong = options[1].split(", ")[-1] if options else "nothing"
    numbers = re.findall(r"^(\d+): ", text, re.MULTILINE)
    return "\n".join(f"{number}: {wrong}" for number in numbers) or wrong


def _proposal(asked: Asked) -> str | None:
    """What it says to an optimizer that asks for better prompts."""
    text = asked.text
    if "new_instruction" in text:
        return json.dumps({"new_instruction": _better(text)})
    if "proposed_instruction" in text:
        return f"[[ ## proposed_instruction ## ]]\n{_better(text)}\n\n[[ ## completed ## ]]"
    if "module_advice" in text:
        advice = json.dumps({"plan": PLAN, "sub_query": LABEL})
        return (
            f"[[ ## discussion ## ]]\nIt guessed.\n\n[[ ## module_advice ## ]]\n{advice}\n\n"
            "[[ ## completed ## ]]"
        )
    return None


def _better(text: str) -> str:
    if "Answer the question briefly" in text or LABEL in text:
        return f"Answer the question briefly. {LABEL}"
    return f"You write Python in a REPL. {PLAN}"
