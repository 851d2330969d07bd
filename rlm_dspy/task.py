"""What a run is to do, as `RLM` hands it to the flow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import dspy

from rlm_dspy.budget import Budget
from rlm_dspy.events import Event
from rlm_dspy.options import RLMOptions
from rlm_dspy.runs.recipes import Recipe


@dataclass(frozen=True)
class Task:
    """What a run is to do; nothing in it changes during a run.

    Args:
        outer: The user's signature.
        predictors: The predictors by name: plan, sub_query, extract, direct.
        sub_lm: The sub-model; None for the predictor's own, else dspy's configured one.
        tools: The user's tools by name, and what the session calls for each.
        factory: Makes the interpreter.
        ours: Whether that interpreter is ours.
        budget: The limits.
        max_llm_calls: The limit of `llm_query` and its batch; None for no limit.
        max_output_chars: How much of a step's output is kept.
        verbose: Whether each step is logged.
        recipe: The plan written ahead; None to plan.
        options: All else.
        listeners: Called with each event.
    """

    outer: type[dspy.Signature]
    predictors: Mapping[str, Any]
    sub_lm: Any
    tools: Mapping[str, dspy.Tool]
    calls: Mapping[str, Callable[..., Any]]
    factory: Callable[[], Any]
    ours: bool
    budget: Budget
    max_llm_calls: int | None
    max_output_chars: int
    verbose: bool
    recipe: Recipe | None
    options: RLMOptions
    listeners: tuple[Callable[[Event], None], ...] = ()
