"""What one run's planner is told: the texts of `rules`, with what the run knows put in."""

from typing import Any

from rlm_dspy.fencing import fence
from rlm_dspy.rules import next_step, rules, variables
from rlm_dspy.task import Task


class Briefing:
    """The texts of one run.

    Args:
        task: What it is to do.
        inputs: The inputs by name, as the REPL gets them.
        recursive: Whether code may start sub-runs.
        runtime: What a foreign interpreter says of itself; empty for our own.
    """

    def __init__(self, task: Task, inputs: dict[str, Any], *, recursive: bool, runtime: str = ""):
        self._task = task
        self._inputs = inputs
        self._recursive = recursive
        self._runtime = runtime

    def first(self) -> dict[str, str]:
        """The first user turn, by field of the planner's signature."""
        return {"rules": self._rules(), "variables": self.variables() + f"\n\n{self.next(0)}"}

    def _rules(self) -> str:
        ours, inputs = self._task.ours, self._inputs
        text = next((name for name, value in inputs.items() if hasattr(value, "describe")), None)
        said = getattr(self._task.signature_of_plan(), "instructions", "")
        return rules(
            self._task.outer,
            self._task.tools,
            text=text or next(iter(inputs), None) if not ours else text,
            ours=ours,
            recursive=self._recursive,
            models=self._task.choices,
            instructions="" if self._runtime in said else self._runtime,
        )

    def variables(self, preview: int | None = None) -> str:
        """What the inputs hold, and what was asked before.

        Args:
            preview: How much of a long one is shown, characters; None: as the options say.
        """
        options = self._task.options
        held = variables(
            self._task.outer,
            self._inputs,
            preview=options.preview_chars if preview is None else preview,
            whole=options.context_above_chars,
        )
        return held + f"\n\n{self._task.earlier}" if self._task.earlier else held

    def after(self, step: int, said: str, *, printed: bool) -> str:
        """The user turn after a step.

        Args:
            step: The step.
            said: What came of it.
            printed: Whether code printed that, so that texts may stand in it.
        """
        shown = fence("output", said.rstrip()) if printed else said.rstrip()
        return f"{shown}\n\n{self.next(step)}"

    def next(self, step: int) -> str:
        """What ends a user turn, after a step (0: before the first)."""
        return next_step(step, self._task.steps, self._inputs)
