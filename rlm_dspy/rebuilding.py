"""A module that is equal to the one that made a recorded run, as far as the record knows it.

Not in a record: LM objects, keys (they come from the environment), the functions of tools, and
types of the user's own, in whose place plain data stands.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import dspy

from rlm_dspy import blueprint
from rlm_dspy.budget import Budget
from rlm_dspy.rerunning import load
from rlm_dspy.rlm import RLM
from rlm_dspy.runs.stored import Stored


def rebuilt(
    stored: Stored,
    *,
    sub_lm: Any = None,
    budget: Budget | None = None,
    tools: Iterable[Any] | None = None,
) -> RLM:
    """The module of a recorded run.

    Args:
        stored: The run.
        sub_lm: The sub-model, where it is to ask one.
        budget: Other limits than the run had.
        tools: The tools; None: what stands in for them.

    Raises:
        ReplayMismatch: The record does not say how the run was made.
    """
    about = stored.about
    rlm = RLM(
        blueprint.signature_of(about),
        max_iters=about["steps"],
        max_llm_calls=about["max_llm_calls"],
        max_output_chars=about["max_output_chars"],
        tools=blueprint.tools_of(about) if tools is None else tools,
        sub_lm=sub_lm,
        budget=budget or blueprint.budget_of(about, bounded=True),
        recipe=blueprint.recipe_of(about),
        options=blueprint.options_of(about),
    )
    for role, state in about["predictors"].items():
        if state is not None:
            getattr(rlm, role).load_state({**state, "lm": None})
    return rlm


def replayed(run: str | Path | Stored | None = None, store: str | None = None) -> dspy.Prediction:
    """Replays a recorded run on a module that is made from its record: no model, no tools.

    Args:
        run: Its id, or the beginning of it; a `Path` to a run's own file; None: the newest.
        store: The store's file; None: the one in use.

    Returns:
        What the run returned.

    Raises:
        StoreError: There is no such run.
        ReplayMismatch: Something happens otherwise than it did.
    """
    stored = load(run, store)
    return rebuilt(stored).start_again(stored, "replay").result()
