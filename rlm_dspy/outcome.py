"""How a question at a terminal ended: the exit code, the answer as text or JSON, what it cost.

Promised: every ending has one exit code; the JSON object has the same keys however a run ended.
"""

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rlm_dspy.errors import BudgetExceeded, ContextError, RLMError, StoreError, SubQueryError
from rlm_dspy.plain_json import json_of
from rlm_dspy.view.text import clock, counted

if TYPE_CHECKING:
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


@dataclass(frozen=True)
class Outcome:
    """How a question ended.

    Args:
        run: The run; None where it was cancelled.
        outputs: The outputs by name; None for each that could not be had.
        recipe: The recipe that was followed.
        characters: Length of the context.
        skipped: Files that were left out of it, as (path, reason).
        failure: What ended the run, where the machinery failed.
        cited: The outputs that are citations and nothing else.
    """

    run: "Run | None"
    outputs: dict[str, Any]
    recipe: "Recipe | None" = None
    characters: int = 0
    skipped: tuple[tuple[str, str], ...] = ()
    failure: RLMError | None = None
    cited: tuple[str, ...] = ()

    @property
    def _answers(self) -> dict[str, Any]:
        return {name: value for name, value in self.outputs.items() if name not in self.cited}

    @property
    def empty(self) -> bool:
        """Whether there is no answer."""
        return all(value in (None, "") for value in self._answers.values())

    @property
    def error(self) -> str:
        """The message of what failed; empty where an answer was looked for."""
        if self.failure is not None:
            return str(self.failure)
        return _unreached(self.run) if self.run is not None and self.empty else ""

    @property
    def exit_code(self) -> ExitCode:
        """What `rlm ask` exits with."""
        run = self.run
        if run is None or (run.status == "partial" and run.reason == INTERRUPTED):
            return ExitCode.INTERRUPTED
        if self.failure is not None:
            return exit_code_of(self.failure)
        if self.error:
            return ExitCode.CONFIGURATION
        if self.empty or run.reason == "not_found":
            return ExitCode.NO_ANSWER
        return ExitCode.COMPLETED if run.status == "completed" else ExitCode.PARTIAL

    def as_text(self) -> str:
        """The outputs as `rlm ask` prints them: one alone, several as `name: value` lines.

        The run's citations follow, as `[1] notes.md:12 "the quote"`.
        """
        answers = self._answers
        lines = [f"{name}: {_as_line(value)}" for name, value in answers.items()]
        if len(answers) == 1:
            lines = [_as_line(next(iter(answers.values())))]
        cited = self.run.citations if self.run is not None else ()
        lines += [f"[{number}] {citation}" for number, citation in enumerate(cited, 1)]
        return "\n".join(lines)

    def as_json(self) -> str:
        """The run as one JSON object on one line."""
        assert self.run is not None
        found = {
            "run": self.run.id,
            "answer": next(iter(self.outputs.values()), None),
            "outputs": self.outputs,
            "status": self.run.status,
            "reason": self.run.reason,
            "planned_by": self.run.planned_by,
            "spend": self.run.spend.as_dict(),
            "citations": self.run.citations,
            "context_chars": self.characters,
            "models": self.run.models,
            "coverage": self.run.coverage.as_dict(),
        }
        return json_of(found)

    def coverage_line(self) -> str:
        """One line: how much of the context was read; empty where nothing is known of it."""
        assert self.run is not None
        coverage = self.run.coverage
        return coverage.line() if coverage.characters else ""

    def cost_line(self) -> str:
        """One line: what answered, how, what it cost, and why it is not complete."""
        run = self.run
        assert run is not None
        parts = [run.models["main"]]
        if run.models["sub"] != run.models["main"]:
            parts[0] += f" with {run.models['sub']}"
        if run.planned_by == "direct":
            parts.append("answered directly")
        elif run.planned_by == "phase0":
            parts.append("looked up")
        elif self.recipe is not None:
            parts.append(f"recipe {self.recipe.name}")
        parts += spent(run)
        if run.status == "partial":
            parts.append(f"partial: {run.reason}")
        elif run.status == "failed" or run.reason:
            parts.append(run.status if run.status == "failed" else run.reason)
        return " · ".join(" ".join(part.split()) for part in parts)


def _unreached(run: "Run") -> str:
    """Why no model answered at all; empty where one did."""
    charged = [event for event in run.events if event.kind == "charged"]
    if not charged or not all(getattr(event, "error", "") for event in charged):
        return ""
    said = (getattr(e, "error", "") for e in reversed(run.events) if e.kind == "extracted")
    return next(said, "") or run.reason


def exit_code_of(error: RLMError) -> ExitCode:
    """What an error exits with."""
    if isinstance(error, (UsageError, ContextError)):
        return ExitCode.USAGE
    ours = (BudgetExceeded, StoreError, SubQueryError)
    interpreter = type(error).__name__ == "InterpreterError"  # its module would load dspy
    return ExitCode.NO_ANSWER if isinstance(error, ours) or interpreter else ExitCode.CONFIGURATION


def _as_line(value: Any) -> str:
    return value if isinstance(value, str) else json_of(value)


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
