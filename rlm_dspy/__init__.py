"""Recursive language models as typed, bounded, isolated DSPy modules.

The public names, in one list. Everything is imported at first use, so that `import rlm_dspy` costs
nothing and loads neither dspy nor litellm.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# LiteLLM reads it while it is imported, and would otherwise ask the network for its price list,
# which without one stalls that import for 20 seconds. A user's own `dspy.LM` may import it first.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

if TYPE_CHECKING:
    from rlm_dspy.budget import Budget as Budget
    from rlm_dspy.budget import Spend as Spend
    from rlm_dspy.citations import Citation as Citation
    from rlm_dspy.context import Context as Context
    from rlm_dspy.context import Document as Document
    from rlm_dspy.context import ReadLimits as ReadLimits
    from rlm_dspy.context import ReadOptions as ReadOptions
    from rlm_dspy.context import ReadProgress as ReadProgress
    from rlm_dspy.context import Span as Span
    from rlm_dspy.dspy_errors import CodeFailed as CodeFailed
    from rlm_dspy.dspy_errors import InterpreterError as InterpreterError
    from rlm_dspy.dspy_errors import PolicyViolation as PolicyViolation
    from rlm_dspy.dspy_errors import ProviderError as ProviderError
    from rlm_dspy.errors import BudgetExceeded as BudgetExceeded
    from rlm_dspy.errors import ConfigurationError as ConfigurationError
    from rlm_dspy.errors import ContextError as ContextError
    from rlm_dspy.errors import MCPToolError as MCPToolError
    from rlm_dspy.errors import ReplayMismatch as ReplayMismatch
    from rlm_dspy.errors import RLMError as RLMError
    from rlm_dspy.errors import StoreError as StoreError
    from rlm_dspy.errors import SubQueryError as SubQueryError
    from rlm_dspy.files import File as File
    from rlm_dspy.lookups import Lookup as Lookup
    from rlm_dspy.mcp_tools import MCPTools as MCPTools
    from rlm_dspy.missing import Missing as Missing
    from rlm_dspy.models import Embedder as Embedder
    from rlm_dspy.models import resolve_lm as resolve_lm
    from rlm_dspy.options import RLMOptions as RLMOptions
    from rlm_dspy.queries.images import ImageReader as ImageReader
    from rlm_dspy.repl import RestrictedInterpreter as RestrictedInterpreter
    from rlm_dspy.rlm import RLM as RLM
    from rlm_dspy.run import Run as Run
    from rlm_dspy.runs.export import TrainingData as TrainingData
    from rlm_dspy.runs.filters import RunFilter as RunFilter
    from rlm_dspy.runs.recipes import Recipe as Recipe
    from rlm_dspy.runs.telemetry import Telemetry as Telemetry
    from rlm_dspy.runs.telemetry import instrument as instrument
    from rlm_dspy.runs.telemetry import uninstrument as uninstrument

_PUBLIC = {
    "rlm_dspy.rlm": ["RLM"],
    "rlm_dspy.run": ["Run"],
    "rlm_dspy.budget": ["Budget", "Spend"],
    "rlm_dspy.options": ["RLMOptions"],
    "rlm_dspy.files": ["File"],
    "rlm_dspy.citations": ["Citation"],
    "rlm_dspy.lookups": ["Lookup"],
    "rlm_dspy.context": [
        "Context",
        "Document",
        "ReadLimits",
        "ReadOptions",
        "ReadProgress",
        "Span",
    ],
    "rlm_dspy.runs.export": ["TrainingData"],
    "rlm_dspy.runs.filters": ["RunFilter"],
    "rlm_dspy.runs.recipes": ["Recipe"],
    "rlm_dspy.runs.telemetry": ["Telemetry", "instrument", "uninstrument"],
    "rlm_dspy.repl": ["RestrictedInterpreter"],
    "rlm_dspy.models": ["Embedder", "resolve_lm"],
    "rlm_dspy.mcp_tools": ["MCPTools"],
    "rlm_dspy.missing": ["Missing"],
    "rlm_dspy.queries.images": ["ImageReader"],
    "rlm_dspy.errors": [
        "RLMError",
        "ConfigurationError",
        "ContextError",
        "SubQueryError",
        "MCPToolError",
        "BudgetExceeded",
        "StoreError",
        "ReplayMismatch",
    ],
    "rlm_dspy.dspy_errors": ["PolicyViolation", "CodeFailed", "InterpreterError", "ProviderError"],
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'rlm_dspy' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
