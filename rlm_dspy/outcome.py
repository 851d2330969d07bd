"""How a question at a terminal ended: the exit code, the answer as text or JSON, what it cost.

Promised: every ending has one exit code; the JSON object has the same keys however a run ended.
"""

import enum
import json
from typing import TYPE_CHECKING, Any

from rlm_dspy.errors import BudgetExceeded, ContextError, RLMError, StoreError, SubQueryError
from rlm_dspy.view.text import clock, counted

if TYPE_CHECKING:
    import dspy

    from rlm_dspy.rlm import RLM
    from rlm_dspy.run import Run
    from rlm_dspy.runs.recipes import Recipe

INTERRUPTED = "interrupted"


class ExitCode(enum.IntEnum):
    """What `rlm` exits with."""

    COMPLETED = 0
    USAGE = 2
    PARTIAL = 3
    NO_ANSWER = 4
    CONFIGURATION = 5
    INTERRUPTED = 130


class UsageError(RLMError):
    """The command line says something that cannot be meant."""


def outputs_of(rlm: "RLM", result: "dspy.Prediction") -> dict[str, Any]:
    """The outputs by name."""
    return {name: result.get(name) for name in rlm.signature.output_fields}


def exit_code(run: "Run", outputs: dict[str, Any]) -> ExitCode:
    """What a run that ended exits with."""
    if run.status == "partial" and run.reason == INTERRUPTED:
        return ExitCode.INTERRUPTED
    if run.reason == "not_found" or all(value in (None, "") for value in outputs.values()):
        return ExitCode.NO_ANSWER
    return ExitCode.COMPLETED if run.status == "completed" else ExitCode.PARTIAL


def exit_code_of(error: RLMError) -> ExitCode:
    """What an error exits with."""
    if isinstance(error, (UsageError, ContextError)):
        return ExitCode.USAGE
    ours = (BudgetExceeded, StoreError, SubQueryError)
    interpreter = type(error).__name__ == "InterpreterError"  # its module would load dspy
    return ExitCode.NO_ANSWER if isinstance(error, ours) or interpreter else ExitCode.CONFIGURATION


def as_text(outputs: dict[str, Any]) -> str:
    """The outputs as `rlm ask` prints them: one alone, several as `name: value` lines."""
    if len(outputs) == 1:
        return _as_line(next(iter(outputs.values())))
    return "\n".join(f"{name}: {_as_line(value)}" for name, value in outputs.items())


def _as_line(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(_plain(value), ensure_ascii=False)


def as_json(run: "Run", outputs: dict[str, Any], characters: int) -> str:
    """A run as one JSON object on one line."""
    found = {
        "run": run.id,
        "answer": next(iter(outputs.values()), None),
        "outputs": outputs,
        "status": run.status,
        "reason": run.reason,
        "planned_by": run.planned_by,
        "spend": run.spend.as_dict(),
        "context_chars": characters,
        "models": run.models,
    }
    return json.dumps(_plain(found), ensure_ascii=False)


def _plain(value: Any) -> Any:
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value, fallback=str, inf_nan_mode="null")


def cost_line(run: "Run", recipe: "Recipe | None") -> str:
    """One line: what answered, how it was planned, what it cost, and why it is not complete."""
    parts = [run.models["main"]]
    if run.models["sub"] != run.models["main"]:
        parts[0] += f" with {run.models['sub']}"
    if run.planned_by == "direct":
        parts.append("answered directly")
    elif recipe is not None:
        parts.append(f"recipe {recipe.name}")
    parts += spent(run)
    if run.status != "completed":
        parts.append(f"{run.status}: {run.reason}")
    elif run.reason:
        parts.append(run.reason)
    return " · ".join(" ".join(part.split()) for part in parts)


def spent(run: "Run") -> list[str]:
    """What a run cost, in parts of a line."""
    spend = run.spend
    cached = f" ({spend.cache_hits:,} more from the cache)" if spend.cache_hits else ""
    return [
        counted(spend.steps, "step"),
        counted(spend.calls, "call") + cached,
        counted(spend.tokens, "token"),
        money(spend.dollars, run),
        clock(spend.seconds),
    ]


def money(dollars: float, run: "Run") -> str:
    """Dollars, or that a model's price is unknown."""
    from rlm_dspy.models import price_of

    if all(price_of(model) is not None for model in set(run.models.values())):
        return f"${dollars:.4f}" if dollars else "$0"
    return f"${dollars:.4f} and what has no known price" if dollars else "price unknown"
