"""What DSPy reports as used, seen in passing.

DSPy reports every call that a model answered to the usage tracker in force, and no answer of its
cache. `RLM` tracks each attempt by a tracker of its own: so who looks on must not take its place.
"""

import functools
from collections import defaultdict
from typing import Any

import dspy
from dspy.utils.usage_tracker import UsageTracker


def spying(used: list[dict[str, Any]]) -> Any:
    """The usage tracker in force, which also tells what passes through it.

    It is of the tracker's own class and shares its state, since who tracks looks at both.

    Args:
        used: Is told: a dict of counts for every call.
    """
    outer = dspy.settings.usage_tracker
    spy: Any = object.__new__(_spy_class(type(outer) if outer is not None else UsageTracker))
    spy.__dict__ = {"usage_data": defaultdict(list)} if outer is None else outer.__dict__
    spy._used = used
    return spy


@functools.cache
def _spy_class(cls: Any) -> type:
    def add_usage(self: Any, lm: str, usage_entry: dict[str, Any]) -> None:
        self._used.append(dict(usage_entry))
        cls.add_usage(self, lm, usage_entry)

    # Beside the shared `__dict__`: calls of one tracker may be under way at once.
    namespace = {"__slots__": ("_used",), "add_usage": add_usage, "__module__": __name__}
    return type(cls.__name__, (cls,), namespace)


def report(model: str) -> None:
    """Tells the tracker in force that a call was made, though nothing was used now."""
    tracker = dspy.settings.usage_tracker
    if tracker is not None:
        tracker.add_usage(model, {"prompt_tokens": 0, "completion_tokens": 0})


def count(usage: dict[str, Any], *path: str) -> int:
    """A count of a report, by its path; 0 where it has none."""
    value: Any = usage
    for name in path:
        value = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
    return int(value or 0)
