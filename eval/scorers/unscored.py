"""The score where the official code gives none."""

import functools
import inspect
import re
from collections.abc import Callable
from typing import ParamSpec

from rlm_dspy import ConfigurationError

P = ParamSpec("P")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
# What the official code raises over values that it was not written for.
RAISED = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError),
    *(RecursionError, SyntaxError, TypeError, ValueError),
)


def bare(error: BaseException) -> str:
    """What an error says, without the addresses of objects, which differ each time."""
    return _ADDRESS.sub("", str(error))


class Unscored(float):
    """0.0, with the reason why the official code gives no score here.

    Args:
        reason: What the official code does instead.
    """

    reason: str

    def __new__(cls, reason: str) -> "Unscored":  # noqa: D102 - the class says it
        score = super().__new__(cls, 0.0)
        score.reason = reason
        return score

    def __reduce__(self) -> tuple[type["Unscored"], tuple[str]]:
        return type(self), (self.reason,)


def unscored_where_it_raises(scorer: Callable[P, float]) -> Callable[P, float]:
    """Makes an `Unscored` of what a scorer raises where the official code does.

    Args:
        scorer: A scorer that raises over the same values as the official code.
    """
    signature = inspect.signature(scorer)

    @functools.wraps(scorer)
    def scored(*args: P.args, **kwargs: P.kwargs) -> float:
        signature.bind(*args, **kwargs)  # a wrong call is the caller's mistake
        try:
            return scorer(*args, **kwargs)
        except ConfigurationError:
            raise
        except RAISED as error:
            return Unscored(f"The official code raises {type(error).__name__}: {bare(error)}.")

    return scored
