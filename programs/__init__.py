"""Ready programs on top of `rlm_dspy`; each module's docstring begins with an example that runs.

All take `context` and `question` and give `answer`, so that any of them can be put in another's
place: `build("aggregate")(context=…, question=…).answer`.
"""

from collections.abc import Callable
from typing import Any

import dspy

from programs.aggregate import Aggregate as Aggregate
from programs.baselines import Direct, DirectTruncated, DspyRLM, MapReduce, Retrieve
from programs.needle import Needle as Needle
from programs.pairs import Pairs as Pairs
from programs.pipeline import Pipeline as Pipeline
from programs.rlm import PlainRLM as PlainRLM
from rlm_dspy import Budget, ConfigurationError

PROGRAMS: dict[str, Callable[..., dspy.Module]] = {
    "needle": Needle,
    "aggregate": Aggregate,
    "pairs": Pairs,
    "rlm": PlainRLM,
    "pipeline": Pipeline,
    "direct": Direct,
    "direct_truncated": DirectTruncated,
    "map_reduce": MapReduce,
    "retrieve": Retrieve,
    "dspy_rlm": DspyRLM,
}
# Those that can follow a recipe or plan.
CHOOSING = ("needle", "aggregate", "pairs")


def build(
    name: str, *, sub_lm: Any = None, budget: Budget | None = None, planned: bool | None = None
) -> dspy.Module:
    """Makes a program.

    Args:
        name: A name of `PROGRAMS`.
        sub_lm: The sub-queries' model, or its name; dspy's configured one by default.
        budget: The limits of a run.
        planned: Whether a model plans, or a recipe is followed; None for the program's default.

    Returns:
        A module with the inputs `context` and `question` and the output `answer`.

    Raises:
        ConfigurationError: There is no such program, or it has no such choice.
    """
    if name not in PROGRAMS:
        raise ConfigurationError(
            f"There is no program {name!r}; there are {', '.join(PROGRAMS)}.", program=name
        )
    if planned is not None and name not in CHOOSING:
        raise ConfigurationError(
            f"The program {name!r} neither follows a recipe nor plans at choice: "
            f"only {', '.join(CHOOSING)} do.",
            program=name,
        )
    chosen = {} if planned is None else {"planned": planned}
    return PROGRAMS[name](sub_lm=sub_lm, budget=budget, **chosen)
