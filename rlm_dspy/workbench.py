"""The REPL of one run: its session, its variables, and the functions that code calls."""

from typing import Any

from rlm_dspy.context.ledger import Ledger
from rlm_dspy.events import EventLog, Executed
from rlm_dspy.execution import CodeSession
from rlm_dspy.queries.operators import Operators
from rlm_dspy.queries.questions import Effect
from rlm_dspy.queries.recursion import Recursion, SubRun
from rlm_dspy.queries.scheduler import Scheduler
from rlm_dspy.rules import NO_CODE
from rlm_dspy.task import Task


class Workbench:
    """Runs the code of one run.

    Args:
        task: What the run is to do.
        scheduler: Asks models.
        log: The run's events.
        effect: The flow's seam.
        sub_run: Runs a sub-run to its end; None where runs may not nest any deeper.
        ledger: Notes what models read.
    """

    def __init__(
        self,
        task: Task,
        scheduler: Scheduler,
        log: EventLog,
        effect: Effect,
        sub_run: SubRun | None,
        ledger: Ledger,
    ):
        self._task = task
        self._ledger = ledger
        sub_query, calls = task.predictors["sub_query"], task.max_llm_calls
        operators = Operators(scheduler, log, effect, sub_query, task.sub_lm, calls, ledger)
        self._recursion = Recursion(operators, sub_run)
        tools = {
            **operators.functions(plain=not task.ours),
            **self._recursion.functions(),
            **task.calls,
        }
        if not task.ours:
            del tools["dspy"]  # our REPL makes an object of it
        self._session = CodeSession(task.factory, tools, task.outer, task.max_output_chars)

    @property
    def isolation(self) -> dict[str, Any]:
        """Which layers of isolation hold; empty for another interpreter than ours."""
        return self._session.isolation

    @property
    def instructions(self) -> str:
        """What a foreign interpreter says of itself, for the planner."""
        return "" if self._task.ours else self._session.instructions

    async def open(self, inputs: dict[str, Any]) -> None:
        """Starts the interpreter and hands it the variables.

        Raises:
            ConfigurationError: The factory made something else.
            InterpreterError: It cannot be started.
        """
        given = dict(inputs)
        if self._task.recipe is not None:
            given |= self._task.recipe.variables(self._task.outer, inputs)
        if "context" in given and self._task.ours:
            given["P"] = given["context"]
        await self._session.start(given)

    async def execute(self, code: str) -> Executed:
        """Runs one step's code.

        Raises:
            InterpreterError: The interpreter broke.
        """
        if not code.strip():
            return Executed(output=NO_CODE, outcome="error")
        event = await self._session.execute(code)
        notes = self._recursion.take_notes()
        output = "\n".join([event.output.rstrip("\n"), *notes]) if notes else event.output
        matched = self._ledger.matched(self._session.found if self._task.ours else ())
        # Nobody reads what a recipe prints.
        shown = event.outcome != "submit" and self._task.recipe is None
        printed = self._ledger.printed(output) if shown else ()
        return event.model_copy(update={"output": output, "printed": printed, "matched": matched})

    async def close(self) -> None:
        """Ends the interpreter; never raises."""
        await self._session.close()
