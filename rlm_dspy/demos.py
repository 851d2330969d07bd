"""The demos of a predictor: which can be shown, and as what chat turns.

Promised: a demo that belongs to a predictor and is not shown is told of in the log, once for each
set of demos.
"""

import functools
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dspy

from rlm_dspy.fencing import neutral
from rlm_dspy.planner_mark import is_plan

logger = logging.getLogger(__name__)

# A demo field longer than this is a whole context that an optimizer copied: a 640,989-character
# prompt for a 5-character context was seen.
MAX_DEMO_CHARS = 4_000

# What tells a planner's turn from another.
_TOLD = ("variables", "output", "code")


def shown(demos: Sequence[Any], signature: type[dspy.Signature]) -> list[dict[str, Any]]:
    """The demos that a signature's prompts show, as data: those that fit it.

    Args:
        demos: All demos of a predictor: an optimizer may have copied raw examples.
        signature: Its signature.

    Returns:
        Those with an input and an output of it and no oversized field.
    """
    numbered = list(enumerate(demos, 1))
    meant = [(n, demo) for n, demo in numbered if _holds(demo, signature.output_fields)]
    faults = {n: wrong for n, demo in meant if (wrong := _fault(demo, signature))}
    if faults:
        which = f"{len(faults)} of the {len(demos)} demos of {signature.signature}"
        said = "; ".join(f"demo {n}: {wrong}" for n, wrong in faults.items())
        _warn(which, said, hash(tuple(str(demo) for n, demo in meant if n in faults)))
    return [as_data(demo, signature) for n, demo in meant if n not in faults]


def as_data(demo: Any, signature: type[dspy.Signature]) -> dict[str, Any]:
    """A demo whose inputs are taken as data, as those of the call are."""
    inputs = signature.input_fields
    return {n: neutral(value) if n in inputs else value for n, value in demo.items()}


def turns_of(demos: Sequence[Any], signature: type[dspy.Signature]) -> list[Any]:
    """Demos as chat turns: a planner's later step comes with the steps before it.

    A later step alone shows an output without the code that printed it, and a small planner then
    repeats its first step until the run is stuck. Optimizers choose some steps of a run: where one
    leads to another, the run is told once.
    """
    if not is_plan(signature):
        return list(demos)
    told = [[*steps_before(demo), demo] for demo in demos]
    said = [[[turn.get(name) for name in _TOLD] for turn in turns] for turns in told]

    def is_told_by_another(one: int) -> bool:
        return any(
            other[: len(said[one])] == said[one] and (len(other) > len(said[one]) or n < one)
            for n, other in enumerate(said)
            if n != one
        )

    return [turn for n, turns in enumerate(told) if not is_told_by_another(n) for turn in turns]


def steps_before(demo: Any) -> list[Any]:
    """The turns in the history of a planner's demo, which is a dict once it was saved."""
    history = demo.get("history")
    if isinstance(history, Mapping):
        return list(history.get("messages") or ())
    return list(getattr(history, "messages", ()))


def _fault(demo: Any, signature: type[dspy.Signature]) -> str:
    """Why a demo with an output of a signature cannot be shown; empty where it can."""
    if not _holds(demo, signature.input_fields):
        return f"none of the inputs {', '.join(signature.input_fields)} is in it"
    turns = [{name: demo.get(name) for name in signature.fields}]
    if is_plan(signature):  # a history is as long as its steps are many: each has to be short
        turns = [{**turns[0], "history": None}, *steps_before(demo)]
    shown = [(n, len(str(v))) for turn in turns for n, v in turn.items() if v is not None]
    name, longest = max(shown, key=lambda field: field[1])
    if longest <= MAX_DEMO_CHARS:
        return ""
    return f"its {name} has {longest:,} characters, and {MAX_DEMO_CHARS:,} are the most"


def _holds(demo: Any, fields: Iterable[str]) -> bool:
    return any(demo.get(name) is not None for name in fields)


@functools.lru_cache(maxsize=1_000)
def _warn(which: str, said: str, demos: int) -> None:
    """Remembers what was said, by the demos' hash too, so that each call does not say it again."""
    logger.warning("%s are left out of its prompts: %s", which, said)
