"""The REPL: model code in a locked-down process of its own, spoken to over typed frames.

Importing this package loads nothing: the worker process imports its modules without dspy.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlm_dspy.repl.interpreter import RestrictedInterpreter

__all__ = ["RestrictedInterpreter"]


def __getattr__(name: str) -> Any:
    if name == "RestrictedInterpreter":
        from rlm_dspy.repl.interpreter import RestrictedInterpreter

        return RestrictedInterpreter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
