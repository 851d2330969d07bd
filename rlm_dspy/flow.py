"""The one step loop: route, plan, execute, … , submit or extract; every effect through one seam.

A run is one `Flow`. It uses only what events hold: `effect` performs something (a planner's answer,
executed code, a sub-query, a submission) and returns the event that was appended, and nothing else
reaches the rest of the run. What the planner's code did wrong is shown to the planner; what the
machinery did wrong is raised; a limit or an interruption ends in the best partial answer.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError

from rlm_dspy.adapters import split_reply
from rlm_dspy.budget import EXTRACT, Account
from rlm_dspy.dspy_errors import ProviderError
from rlm_dspy.errors import BudgetExceeded, RLMError
from rlm_dspy.events import (
    Answered,
    Event,
    EventLog,
    Executed,
    Extracted,
    Planned,
    PlannedBy,
    RunEnded,
    RunStarted,
    Status,
    SubQueryAnswered,
)
from rlm_dspy.execution import CodeSession
from rlm_dspy.queries.operators import Operators
from rlm_dspy.queries.scheduler import Scheduler, room_for_findings
from rlm_dspy.rules import NO_CODE, REPEATED, next_step, rules, variables
from rlm_dspy.run import Run
from rlm_dspy.runs.recipes import Recipe
from rlm_dspy.submission import checked
from rlm_dspy.task import Task
from rlm_dspy.transcript import Transcript

logger = logging.getLogger(__name__)

# A planner that repeats the same step this often, same output and all, will not get further.
STUCK_AFTER = 4
EXTRACTED = "Extract forced final output"
# How long an interrupted run may still take to extract its partial answer, seconds.
INTERRUPTED_SECONDS = 30.0


@dataclass
class Ending:
    """How a run ends."""

    outputs: dict[str, Any]
    status: Status
    reason: str = ""
    reasoning: str = ""


class Flow:
    """One run of a task.

    Args:
        task: What to do.
        inputs: The inputs by name, checked; long texts are `Context`s already.
    """

    def __init__(self, task: Task, inputs: dict[str, Any]):
        self.task = task
        self.inputs = inputs
        self.log = EventLog(task.listeners)
        self.account = Account(task.budget)
        self.transcript = Transcript()
        self.planned_by: PlannedBy = self._planner()
        self._stop = asyncio.Event()
        self._stop_reason = "interrupted"
        self._session: CodeSession | None = None
        self._loop = asyncio.get_running_loop()

    async def run(self) -> dspy.Prediction:
        """Runs the task to its end.

        Returns:
            The outputs, `trajectory`, `final_reasoning` and `run`.

        Raises:
            RLMError: The machinery failed; the error carries the `run`.
        """
        self.scheduler = Scheduler(self.account, self.log, self.task.options)
        self._note_start()
        try:
            ending = await self._bounded()
        except RLMError as error:
            error.run = self._finish(Ending({}, "failed", f"{type(error).__name__}: {error}"))
            raise
        finally:
            await self._close()
        run = self._finish(ending)
        return dspy.Prediction(
            **ending.outputs,
            trajectory=list(self.transcript.steps),
            final_reasoning=ending.reasoning,
            run=run,
        )

    def stop(self, reason: str = "interrupted") -> None:
        """Ends the run soon, with the best partial answer; from any thread."""
        self._stop_reason = reason
        self._loop.call_soon_threadsafe(self._stop.set)

    async def effect(self, perform: Callable[[], Awaitable[Event]]) -> Any:
        """The one seam: performs an effect and appends its event; the run uses only the event."""
        return self.log.append(await perform())

    async def _bounded(self) -> Ending:
        """The work within its seconds; what ends it early is answered by extraction."""
        work = asyncio.ensure_future(self._work())
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait(
                {work, stop},
                timeout=self.account.timeout("plan"),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if work.done():
                return work.result()
            await _cancelled(work)
            reason = self._stop_reason if stop.done() else "seconds"
            return await self._within_grace(self._extract(reason))
        except BudgetExceeded as error:
            return await self._within_grace(self._extract(error.limit))
        finally:
            await _cancelled(work, stop)

    async def _within_grace(self, extraction: Awaitable[Ending]) -> Ending:
        left = self.account.timeout(EXTRACT)
        if self._stop.is_set():
            left = min(INTERRUPTED_SECONDS if left is None else left, INTERRUPTED_SECONDS)
        try:
            return await asyncio.wait_for(extraction, left)
        except TimeoutError:
            return self._empty("seconds")

    async def _work(self) -> Ending:
        if self.planned_by == "direct":
            return await self._direct()
        await self._open()
        if self.task.recipe is not None:
            return await self._follow(self.task.recipe)
        return await self._plan_until_submitted()

    def _planner(self) -> PlannedBy:
        options = self.task.options
        if self.task.recipe is not None:
            return "recipe"
        sizes = (len(v) if hasattr(v, "__len__") else 8 for v in self.inputs.values())
        fits = options.route == "auto" and options.fits_directly(sum(sizes))
        return "direct" if fits or options.route == "direct" else "model"

    async def _direct(self) -> Ending:
        inputs = {
            name: str(value) if hasattr(value, "describe") else value
            for name, value in self.inputs.items()
        }

        async def answer() -> Event:
            prediction = await self._ask("direct", **inputs)
            return Answered(outputs=self._typed(dict(prediction.items())))

        try:
            event = await self.effect(answer)
        except AdapterParseError as error:
            return self._empty(f"the answer does not fit the signature: {error.message}")
        return Ending(event.outputs, "completed")

    async def _open(self) -> None:
        task = self.task
        operators = Operators(
            self.scheduler,
            self.log,
            self.effect,
            task.predictors["sub_query"],
            task.sub_lm,
            task.max_llm_calls,
        ).functions()
        if not task.ours:
            operators = {n: f for n, f in operators.items() if n.startswith("llm_query")}
        tools = {**operators, **task.calls}
        self._session = CodeSession(task.factory, tools, task.outer, task.max_output_chars)
        given = dict(self.inputs)
        if task.recipe is not None:
            given |= task.recipe.variables(task.outer, self.inputs)
        if "context" in given and task.ours:
            given["P"] = given["context"]
        await self._session.start(given)

    async def _close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _plan_until_submitted(self) -> Ending:
        first = {
            "rules": self._rules(),
            "variables": f"{self._variables()}\n\n{self._next(0)}",
        }
        output: str | None = None
        while True:
            step = self._next_step()
            sent = {"output": output} if output is not None else first
            planned = await self.effect(lambda sent=sent: self._plan(sent))
            ending, output = await self._run_step(planned, step)
            if ending is not None:
                return ending
            self.transcript.turns.append(
                {**sent, "reasoning": planned.reasoning, "code": planned.code}
            )

    async def _follow(self, recipe: Recipe) -> Ending:
        for code in recipe.steps:
            step = self._next_step()
            planned = await self.effect(lambda code=code: _written(code))
            ending, output = await self._run_step(planned, step)
            if ending is not None:
                return ending
            if self.log.of(Executed)[-1].outcome == "error":
                return await self._extract(f"the recipe {recipe.name!r} failed: {output}")
        return await self._extract(f"the recipe {recipe.name!r} submitted nothing")

    async def _run_step(self, planned: Planned, step: int) -> tuple[Ending | None, str]:
        """Runs one step's code; gives the ending if it submitted, and what the planner is told."""
        executed = await self.effect(lambda: self._execute(planned.code))
        output = executed.output
        if executed.outcome == "submit":
            event = await self.effect(lambda: self._submit(executed.submitted or {}))
            if event.accepted:
                self._note_step(planned, f"FINAL: {event.outputs}")
                return Ending(event.outputs, "completed", reasoning=planned.reasoning), ""
            output = event.error
        self._note_step(planned, output)
        repeats = self.transcript.repeats()
        if repeats >= STUCK_AFTER and self.task.recipe is None:
            return await self._extract("stuck"), output
        said = REPEATED if repeats > 1 else output
        return None, f"{said.rstrip()}\n\n{self._next(step)}"

    async def _plan(self, sent: dict[str, str]) -> Event:
        started = time.monotonic()
        history = dspy.History(messages=list(self.transcript.turns))
        try:
            prediction = await self._ask("plan", history=history, **sent)
            reasoning, code = prediction.reasoning or "", _unfenced(prediction.code or "")
        except AdapterParseError as error:
            reasoning, code = split_reply(error.lm_response or "")
        return Planned(reasoning=reasoning, code=code, seconds=round(time.monotonic() - started, 6))

    async def _execute(self, code: str) -> Event:
        if not code.strip():
            return Executed(output=NO_CODE, outcome="error")
        assert self._session is not None
        return await self._session.execute(code)

    async def _submit(self, given: dict[str, Any]) -> Event:
        return checked(self.task.outer, given)

    async def _extract(self, reason: str) -> Ending:
        """The best answer from what was found, within what is held back for it."""

        async def extract() -> Event:
            room = min(self.task.options.extract_chars, room_for_findings(self.account))
            given = self._variables(min(self.task.options.preview_chars, room // 4))
            try:
                prediction = await self._ask(
                    "extract",
                    variables=given[: room // 2],
                    findings=self._findings(room - min(len(given), room // 2)),
                )
                outputs = self._typed(dict(prediction.items()))
            except (AdapterParseError, BudgetExceeded, ProviderError) as error:
                nothing = dict.fromkeys(self.task.outer.output_fields)
                return Extracted(outputs=nothing, reason=reason, error=str(error))
            return Extracted(outputs=outputs, reason=reason)

        logger.info("RLM ends early (%s): extracting the answer from what was found", reason)
        event = await self.effect(extract)
        return Ending(event.outputs, "partial", reason, EXTRACTED)

    def _findings(self, limit: int) -> str:
        """The transcript, and what sub-queries of an unfinished step answered."""
        found = self.transcript.findings(limit)
        done = len(self.transcript.steps)
        unfinished = [e.value for e in self.log.of(SubQueryAnswered) if e.step > done]
        if unfinished:
            answers = "\n".join(str(value) for value in unfinished)
            found = f"{found}\n\nAnswers of sub-queries in the last step:\n{answers}"
        return found[-limit:] if limit else "(nothing)"

    async def _ask(self, role: str, **inputs: Any) -> Any:
        return await self.scheduler.call(self.task.predictors[role], role, None, **inputs)

    def _next_step(self) -> int:
        self.log.step = self.account.take_step()
        return self.log.step

    def _next(self, step: int) -> str:
        return next_step(step, self.task.budget.steps or 0, self.inputs)

    def _typed(self, given: dict[str, Any]) -> dict[str, Any]:
        return {name: given.get(name) for name in self.task.outer.output_fields}

    def _empty(self, reason: str) -> Ending:
        return Ending(dict.fromkeys(self.task.outer.output_fields), "partial", reason)

    def _rules(self) -> str:
        text = next((n for n, value in self.inputs.items() if hasattr(value, "describe")), None)
        return rules(
            self.task.outer,
            self.task.tools,
            text=text or next(iter(self.inputs), None) if not self.task.ours else text,
            ours=self.task.ours,
            instructions=self._runtime(),
        )

    def _runtime(self) -> str:
        """What a foreign interpreter says of itself, unless the planner's instruction says it."""
        runtime = getattr(self.task.factory, "execution_instructions", "") or ""
        signature = getattr(self.task.predictors["plan"], "signature", None)
        return "" if runtime in getattr(signature, "instructions", "") else runtime

    def _variables(self, preview: int | None = None) -> str:
        options = self.task.options
        return variables(
            self.task.outer,
            self.inputs,
            preview=options.preview_chars if preview is None else preview,
            whole=options.context_above_chars,
        )

    def _note_start(self) -> None:
        self.log.append(
            RunStarted(
                signature=str(self.task.outer.signature),
                inputs={name: type(value).__name__ for name, value in self.inputs.items()},
                model=self._models()["main"],
                sub_model=self._models()["sub"],
                planned_by=self.planned_by,
            )
        )

    def _note_step(self, planned: Planned, output: str) -> None:
        step = {"reasoning": planned.reasoning, "code": planned.code, "output": output}
        self.transcript.steps.append(step)
        if self.task.verbose:
            logger.info("RLM step %d\n%s\n%s\n%s", self.log.step, *step.values())

    def _models(self) -> dict[str, str]:
        main = getattr(self.task.predictors["plan"], "lm", None) or dspy.settings.lm
        sub = self.task.sub_lm or getattr(self.task.predictors["sub_query"], "lm", None) or main
        return {"main": str(getattr(main, "model", "")), "sub": str(getattr(sub, "model", ""))}

    def _finish(self, ending: Ending) -> Run:
        spend = self.account.spend
        self.log.append(RunEnded(status=ending.status, reason=ending.reason, spend=spend.as_dict()))
        return Run(
            id=self.log.id,
            status=ending.status,
            reason=ending.reason,
            planned_by=self.planned_by,
            spend=spend,
            events=tuple(self.log),
            trajectory=tuple(self.transcript.steps),
            models=self._models(),
            isolation=self._session.isolation if self._session else {},
        )


async def _written(code: str) -> Event:
    return Planned(reasoning="", code=code)


async def _cancelled(*tasks: asyncio.Future) -> None:
    """Cancels tasks and waits until they have cleaned up."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # read, so that it is not reported as never retrieved


def _unfenced(code: str) -> str:
    """Code as an adapter other than ours gives it, fence and all."""
    return split_reply(code)[1] if "```" in code else code
