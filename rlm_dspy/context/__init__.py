"""Contexts: what goes in, where each piece came from, what can be found without a model."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlm_dspy.context.context import Context
    from rlm_dspy.context.documents import Document, Span
    from rlm_dspy.context.progress import ReadProgress
    from rlm_dspy.context.read_options import ReadOptions
    from rlm_dspy.context.readers.limits import ReadLimits

__all__ = ["Context", "Document", "ReadLimits", "ReadOptions", "ReadProgress", "Span"]

_HOMES = {
    "Context": "context",
    "Document": "documents",
    "ReadLimits": "readers.limits",
    "ReadOptions": "read_options",
    "ReadProgress": "progress",
    "Span": "documents",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
