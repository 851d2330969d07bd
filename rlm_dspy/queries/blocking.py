"""Modules and adapters that know blocking calls alone: they run in a thread, as by `dspy.asyncify`.

Promised: what they ask of the LM that they are given is an attempt of the run like any other.
"""

import asyncio
import copy
import functools
from collections.abc import Mapping
from typing import Any

import dspy

from rlm_dspy.bridges import Bridge
from rlm_dspy.dspy_errors import ProviderError


def is_blocking(predictor: Any) -> bool:
    """Whether a module has `forward` and nothing to await, as `dspy.BestOfN`."""
    if not isinstance(predictor, dspy.Module) or hasattr(predictor, "aforward"):
        return False
    return type(predictor).acall is dspy.Module.acall


async def in_thread(
    module: dspy.Module, lm: Any, bridge: Bridge, inputs: Mapping[str, Any]
) -> dspy.Prediction:
    """Calls a module in a thread, with the caller's context.

    Args:
        module: The module.
        lm: What its predictors ask. It is dspy's configured one there, so that `dspy.BestOfN` makes
            its copies of it; where predictors have an LM of their own, a copy of the module without
            it is called.
        bridge: What the LM asks through.
        inputs: The module's inputs by name.

    Raises:
        Exception: What the module raises; what its LM raised, where it gives nothing for that.
        ProviderError: It gives nothing.
    """
    if any(getattr(each, "lm", None) for each in module.predictors()):
        module = module.deepcopy()
        module.set_lm(None)
    trace = dspy.settings.trace
    with dspy.context(lm=lm, trace=[] if trace is None else trace):  # `BestOfN` adds to it
        prediction = await asyncio.to_thread(module, **inputs)
    if prediction is None:  # `BestOfN` prints errors
        said = f"{type(module).__name__} gave no prediction: all of its attempts failed."
        raise bridge.error or ProviderError(said, model=getattr(lm, "model", None))
    return prediction


def by_call(adapter: Any) -> Any:
    """An adapter that is asked by its `__call__`, where a class overrides that and not its `acall`.

    So does the adapter that `dspy.Refine` gives its advice by.

    Returns:
        The adapter, or a copy whose `acall` calls it in a thread.
    """
    if _depth(adapter, "__call__") >= _depth(adapter, "acall"):
        return adapter
    asked: Any = copy.copy(adapter)
    asked.acall = functools.partial(asyncio.to_thread, adapter)
    return asked


def _depth(adapter: Any, method: str) -> int:
    """How far up the classes of an adapter a method is defined; 0: by its own class."""
    classes = type(adapter).__mro__
    return next((at for at, cls in enumerate(classes) if method in vars(cls)), len(classes))
