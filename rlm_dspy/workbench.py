"""The REPL of one run: its session, its variables, and the functions that code calls."""

import asyncio
from typing import Any

from rlm_dspy.context.ledger import Ledger
from rlm_dspy.event_log import EventLog
from rlm_dspy.events import Executed
from rlm_dspy.execution import CodeSession
from rlm_dspy.queries.operators import Operators
from rlm_dspy.queries.questions import Effect
from rlm_dspy.queries.recursion import Recursion, SubRun
from rlm_dspy.queries.scheduler import Scheduler
from rlm_dspy.rules import NO_CODE
from rlm_dspy.task import Task
from rlm_dspy.tool_calls import noted

# How often a step that its record does not end is looked after, seconds.
_WATCH_SECONDS = 0.01


class Workbench:
    """Runs the code of one run.

    Args:
        task: What the run is to do.
        scheduler: Asks models.
        log: The run's events.
        effect: The flow's seam.
        sub_run: Runs a sub-run to its end; None where runs may not nest any deeper.
        ledger: Notes what models read.
        seed: What the REPL's random numbers are drawn from.
    """

    def __init__(
        self,
        task: Task,
        scheduler: Scheduler,
        log: EventLog,
        effect: Effect,
        sub_run: SubRun | None,
        ledger: Ledger,
        seed: int,
    ):
        self._task = task
        self._log = log
        self._scheduler = scheduler
        self._ledger = ledger
        sub_query, calls = task.predictors["sub_query"], task.max_llm_calls
        operators = Operators(scheduler, log, effect, sub_query, task.sub_lm, calls, ledger)
        self._recursion = Recursion(operators, sub_run)
        tools = {
            **operators.functions(plain=not task.ours),
            **self._recursion.functions(),
            **{name: noted(name, call, log, effect) for name, call in task.calls.items()},
        }
        if not task.ours:
            del tools["dspy"]  # our REPL makes an object of it
        factory = task.factory_of(seed)
        factory = task.repl or factory
        self._session = CodeSession(factory, tools, task.outer, task.max_output_chars)

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

    async def execute(self, code: str, clock: float) -> Executed:
        """Runs one step's code.

        Args:
            code: Python.
            clock: What the REPL's clocks show when it begins, seconds since 1970.

        Raises:
            InterpreterError: The interpreter broke.
        """
        if not code.strip():
            return Executed(output=NO_CODE, outcome="error")
        record, run, step = self._log.record, self._log.run, self._log.step
        known = record.executed(run, step) if record is not None else None
        if record is not None and known is None and record.is_strict:
            return await self._as_far(code, clock)
        if record is not None and known is not None and known.rolled_back:
            self._scheduler.again(record.rolled_back(run, step))
            return known
        return await self._run(code, clock)

    async def _run(self, code: str, clock: float) -> Executed:
        event = await self._session.execute(code, clock)
        notes = self._recursion.take_notes()
        output = "\n".join([event.output.rstrip("\n"), *notes]) if notes else event.output
        matched = self._ledger.matched(self._session.found if self._task.ours else ())
        # Nobody reads what a recipe prints.
        shown = event.outcome != "submit" and self._task.recipe is None
        printed = self._ledger.printed(output) if shown else ()
        return event.model_copy(update={"output": output, "printed": printed, "matched": matched})

    async def _as_far(self, code: str, clock: float) -> Executed:
        """Runs a step in which the run was ended, as far as it came then."""
        record, run, step = self._log.record, self._log.run, self._log.step
        if record.is_used_up(run, step) and record.end_early(run):
            await asyncio.Event().wait()
        work = asyncio.ensure_future(self._run(code, clock))
        try:
            while not work.done() and not (record.is_used_up(run, step) and record.end_early(run)):
                await asyncio.wait({work}, timeout=_WATCH_SECONDS)
            return await work
        finally:
            work.cancel()

    async def close(self) -> None:
        """Ends the interpreter; never raises."""
        await self._session.close()
