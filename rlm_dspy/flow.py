"""The one step loop: route, plan, execute, … , submit or extract; every effect through one seam.

A run is one `Flow`. It uses only what events hold: `effect` performs something (a planner's answer,
executed code, a sub-query, a submission) and returns the event that was appended, and nothing else
reaches the rest of the run. What the planner's code did wrong is shown to the planner; what the
machinery did wrong is raised; a limit or an interruption ends in the best partial answer.
"""

import asyncio
import logging
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import dspy
from dspy.utils.exceptions import AdapterParseError

from rlm_dspy.account import EXTRACT, Account, Cap, SubAccount
from rlm_dspy.briefing import Briefing
from rlm_dspy.budget import Spend
from rlm_dspy.citing import UNVERIFIED, has_citations, told, verified
from rlm_dspy.context.ledger import Ledger
from rlm_dspy.errors import BudgetExceeded, RLMError
from rlm_dspy.event_log import EventLog
from rlm_dspy.events import (
    ANSWERING,
    Answered,
    Event,
    Executed,
    LookedUp,
    Planned,
    PlannedBy,
    RunEnded,
    RunStarted,
    Status,
    Stopped,
    Submitted,
)
from rlm_dspy.extracting import Extraction
from rlm_dspy.inputs import prepared, texts_of
from rlm_dspy.phase0 import looked_up
from rlm_dspy.planning import Planner
from rlm_dspy.queries.scheduler import Scheduler
from rlm_dspy.reading import Reading
from rlm_dspy.routing import fits_directly
from rlm_dspy.rules import REPEATED
from rlm_dspy.run import Run
from rlm_dspy.runs.recipes import Recipe
from rlm_dspy.runs.record import Record
from rlm_dspy.spoken import say_output, say_step
from rlm_dspy.streak import Streak
from rlm_dspy.submission import checked, found_nothing
from rlm_dspy.task import Task
from rlm_dspy.transcript import Transcript
from rlm_dspy.workbench import Workbench

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


@dataclass(frozen=True)
class Place:
    """Where a sub-run stands in its tree: what it shares with the run that started it.

    Args:
        log: Takes its events.
        account: Is charged.
        scheduler: Asks models.
        ledger: The other run's: what models read of that one's contexts.
    """

    log: EventLog
    account: SubAccount
    scheduler: Scheduler
    ledger: Ledger


class Flow:
    """One run of a task.

    Args:
        task: What to do.
        inputs: The inputs by name, checked; long texts are `Context`s already.
        place: Where a sub-run stands; None for a run of its own.
        log: Takes the events of a run of its own; None for a new one that nobody records.
        cap: Limits what this run and others cost together; None for no such limit.
    """

    def __init__(
        self,
        task: Task,
        inputs: dict[str, Any],
        place: Place | None = None,
        log: EventLog | None = None,
        cap: Cap | None = None,
    ):
        self.task = task
        self.inputs = inputs
        own = EventLog(task.listeners) if log is None else log
        self.log = place.log if place else own
        self.record: Record | None = self.log.record
        elapsed = self.record.seconds if self.record else 0.0
        self.account = place.account if place else Account(task.budget, elapsed, cap)
        self.scheduler = place.scheduler if place else self._new_scheduler()
        above = place.ledger if place else None
        self.reading = Reading(task, inputs, self.log, above)
        self.transcript = Transcript()
        self.planned_by: PlannedBy = "recipe" if task.recipe is not None else "model"
        self._stop = asyncio.Event()
        self._stop_reason = "interrupted"
        self._streak = Streak(task.options.max_errors)
        self._bench: Workbench | None = None
        self._looked_up: LookedUp | None = None
        self._briefing = Briefing(task, inputs, recursive=False)
        asking = (task, self.log, self.scheduler, self.transcript, self._ask)
        self._planner, self._extraction = Planner(*asking), Extraction(*asking)
        self._loop = asyncio.get_running_loop()
        self.log.when_failed(self._stop.set)
        if self.record is not None:
            self.record.on_stop(self.log.run, self.stop)

    async def run(self) -> dspy.Prediction:
        """Runs the task to its end.

        Returns:
            The outputs, `trajectory`, `final_reasoning` and `run`.

        Raises:
            RLMError: The machinery failed; the error carries the `run`.
        """
        self._looked_up = await self._look_up()
        self.planned_by = await self._chosen()
        self._note_start()
        try:
            ending = await self._bounded()
        except RLMError as error:
            error.run = self._finish(Ending({}, "failed", f"{type(error).__name__}: {error}"))
            raise
        finally:
            if self._bench is not None:
                await self._bench.close()
        run = self._finish(ending)
        if self.record is not None and not self.log.run:
            self.record.finish()
        said = {"trajectory": list(self.transcript.steps), "final_reasoning": ending.reasoning}
        # The outputs last: `dspy.majority` votes on the last field.
        return dspy.Prediction({**said, "run": run, **ending.outputs})

    def _new_scheduler(self) -> Scheduler:
        return Scheduler(self.account, self.log, self.task.options)

    def stop(self, reason: str = "interrupted") -> None:
        """Ends the run soon, with the best partial answer; from any thread."""
        self._stop_reason = reason
        self._loop.call_soon_threadsafe(self._stop.set)

    async def effect(self, perform: Callable[[], Awaitable[Event]]) -> Any:
        """The one seam: performs an effect and appends its event; the run uses only the event."""
        event = self.log.append(await perform())
        if self._streak.is_too_long(event) and not self._replays:
            self.stop("errors")
        return event

    @property
    def _replays(self) -> bool:
        """Whether a record says all that happens, and when it ends."""
        return self.record is not None and self.record.is_strict

    async def _bounded(self) -> Ending:
        """The work within its seconds; what ends it early is answered by extraction."""
        work = asyncio.ensure_future(self._work())
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait(
                {work, stop},
                timeout=None if self._replays else self.account.timeout("plan"),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if work.done() and self.log.failure is None:
                return work.result()
            await _cancelled(work)
            if self.log.failure is not None:
                raise self.log.failure
            reason = self._stop_reason if stop.done() else "seconds"
            if self._replays and (step := self.log.record.stopped_in(self.log.run)) is not None:
                self.log.step = step
            self.log.append(Stopped(reason=reason))
            return await self._within_grace(self._extract(reason))
        except BudgetExceeded as error:
            return await self._within_grace(self._extract(error.limit))
        finally:
            await _cancelled(work, stop)

    async def _within_grace(self, extraction: Awaitable[Ending]) -> Ending:
        left = None if self._replays else self.account.timeout(EXTRACT)
        if self._stop.is_set():
            left = min(INTERRUPTED_SECONDS if left is None else left, INTERRUPTED_SECONDS)
        try:
            return await asyncio.wait_for(extraction, left)
        except TimeoutError:
            return self._empty("seconds")

    async def _look_up(self) -> LookedUp | None:
        """The answer without a model, where it is certain: of a run that plans for itself."""
        options = self.task.options
        if options.phase0 == "off" or self.task.recipe is not None or self.log.run:
            return None
        return await asyncio.to_thread(looked_up, self.task.outer, self.inputs, options)

    async def _work(self) -> Ending:
        if (found := self._looked_up) is not None:
            event = await self.effect(lambda: _done(found))
            return Ending(event.outputs, "completed")
        self.scheduler.require_prices(*map(self.task.lm_of, self.task.predictors))
        if self.planned_by == "direct":
            return await self._direct()
        bench = await self._open()
        if self.task.recipe is not None:
            return await self._follow(self.task.recipe, bench)
        return await self._plan_until_submitted(bench)

    async def _chosen(self) -> PlannedBy:
        if self._looked_up is not None:
            return "phase0"
        route = self.task.options.route
        if self.task.recipe is not None or route == "rlm":
            return self.planned_by
        # Recorded: a tokenizer that is not here any more must not change it.
        events = self.record.events if self.record else ()
        began = [e for e in events if isinstance(e, RunStarted) and e.run == self.log.run]
        if began:
            return began[0].planned_by
        if route == "direct" or await asyncio.to_thread(fits_directly, self.task, self.inputs):
            return "direct"
        return "model"

    async def _direct(self) -> Ending:
        inputs = {
            name: str(value) if hasattr(value, "describe") else value
            for name, value in self.inputs.items()
        }

        async def answer() -> Event:
            prediction = await self._ask("direct", **inputs)
            outputs, _ = await self._cited(self._typed(dict(prediction.items())))
            return Answered(outputs=outputs, printed=self.reading.ledger.whole())

        try:
            event = await self.effect(answer)
        except AdapterParseError as error:
            return self._empty(f"the answer does not fit the signature: {error.message}")
        return self._completed(event.outputs)

    async def _open(self) -> Workbench:
        nests = self.account.depth + 1 < self.task.budget.depth
        sub_run = self._sub_run if nests else None
        self._bench = Workbench(
            self.task,
            self.scheduler,
            self.log,
            self.effect,
            sub_run,
            self.reading.ledger,
            self.seed,
        )
        await self._bench.open(self.inputs)
        runtime = self._bench.instructions
        self._briefing = Briefing(self.task, self.inputs, recursive=nests, runtime=runtime)
        return self._bench

    async def _sub_run(
        self, outer: type[dspy.Signature], inputs: dict[str, Any]
    ) -> dspy.Prediction:
        log, account = self.log.child(), self.account.child()
        place = Place(log, account, self.scheduler.child(account, log), self.reading.ledger)
        task = self.task.inner(outer)
        given = prepared(outer, inputs, task.options, ours=task.ours, searched=False)
        return await Flow(task, given, place).run()

    async def _plan_until_submitted(self, bench: Workbench) -> Ending:
        first = self._briefing.first()
        output: str | None = None
        while True:
            step = self._next_step()
            sent = {"output": output} if output is not None else first
            planned = await self.effect(lambda sent=sent: self._planner.plan(sent))
            ending, output = await self._run_step(planned, step, bench)
            if ending is not None:
                return ending

    async def _follow(self, recipe: Recipe, bench: Workbench) -> Ending:
        for code in recipe.steps:
            step = self._next_step()
            planned = await self.effect(lambda code=code: _written(code))
            ending, _ = await self._run_step(planned, step, bench)
            if ending is not None:
                return ending
            if (done := self.log.of(Executed)[-1]).outcome == "error":
                return await self._extract(f"the recipe {recipe.name!r} failed: {done.output}")
        return await self._extract(f"the recipe {recipe.name!r} submitted nothing")

    async def _run_step(
        self, planned: Planned, step: int, bench: Workbench
    ) -> tuple[Ending | None, str]:
        """Runs one step's code; gives the ending if it submitted, and what the planner is told."""
        if self.task.verbose:
            say_step(step, self.task.steps, planned.reasoning, planned.code)
        executed = await self.effect(lambda: bench.execute(planned.code, planned.clock))
        output = executed.output
        if executed.outcome == "submit":
            event = await self.effect(lambda: self._submit(executed.submitted or {}))
            if event.accepted:
                self._note_step(planned, f"FINAL: {event.outputs}")
                return self._completed(event.outputs, planned.reasoning), ""
            output = event.error
        self._note_step(planned, output)
        repeats = self.transcript.repeats()
        if repeats >= STUCK_AFTER and self.task.recipe is None:
            return await self._extract("stuck"), output
        said = REPEATED if repeats > 1 else output
        printed = repeats < 2 and bool(planned.code) and executed.outcome != "submit"
        return None, self._briefing.after(step, said, printed=printed)

    async def _submit(self, given: dict[str, Any]) -> Event:
        event = checked(self.task.outer, given, self.task.options)
        if not event.accepted:
            return event
        outputs, wrong = await self._cited(event.outputs or {})
        if wrong and self._may_correct():
            return Submitted(accepted=False, error=told(wrong))
        return self.reading.judged(event.model_copy(update={"outputs": outputs}))

    def _completed(self, outputs: dict[str, Any], reasoning: str = "") -> Ending:
        """The ending of an accepted answer."""
        if not self.reading.is_enough:
            return Ending(outputs, "partial", "coverage", reasoning)
        reason = "not_found" if found_nothing(self.task.outer, outputs) else ""
        return Ending(outputs, "completed", reason, reasoning)

    async def _cited(self, outputs: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Outputs with their citations verified, and what is wrong with those not found."""
        if not has_citations(outputs):
            return outputs, []
        return await asyncio.to_thread(verified, outputs, texts_of(self.inputs))

    def _may_correct(self) -> bool:
        """Whether the planner may mend its quotes: once in a run, while it has a step left."""
        told_before = any(event.error.startswith(UNVERIFIED) for event in self.log.of(Submitted))
        planning = self.task.recipe is None and self.log.step < self.task.steps
        return planning and not told_before

    async def _extract(self, reason: str) -> Ending:
        if (held := self.reading.refused()) is not None:
            return Ending(held, "partial", reason)
        if self._replays and not self.log.record.extracted(self.log.run):
            raise TimeoutError  # as it was then
        logger.info("RLM ends early (%s): extracting the answer from what was found", reason)

        async def extract() -> Event:
            event = await self._extraction.event(reason, self._briefing)
            outputs, _ = await self._cited(event.outputs)
            return event.model_copy(update={"outputs": outputs})

        event = await self.effect(extract)
        return Ending(event.outputs, "partial", reason, EXTRACTED)

    async def _ask(self, role: str, /, **inputs: Any) -> Any:
        inputs = {**self.task.signatures_of(role), **inputs}
        lm = self.task.stand_ins.get(role)
        return await self.scheduler.call(self.task.predictors[role], role, lm, **inputs)

    def _next_step(self) -> int:
        if self.log.step >= self.task.steps:
            raise BudgetExceeded(
                f"The limit of {self.task.steps} steps is reached.", limit="steps", asked=1, left=0
            )
        self.account.take_step()
        self.log.step += 1
        return self.log.step

    def _typed(self, given: dict[str, Any]) -> dict[str, Any]:
        return {name: given.get(name) for name in self.task.outer.output_fields}

    def _empty(self, reason: str) -> Ending:
        return Ending(dict.fromkeys(self.task.outer.output_fields), "partial", reason)

    def _note_start(self) -> None:
        nested = bool(self.log.run)
        self.log.append(
            RunStarted(
                signature=str(self.task.outer.signature),
                inputs={name: type(value).__name__ for name, value in self.inputs.items()},
                model=self.task.models["main"],
                sub_model=self.task.models["sub"],
                planned_by=self.planned_by,
                limits={} if nested else self.task.budget.limits,
                query=ANSWERING.get() if nested else 0,
                seed=self.seed,
                **self.reading.at_first(self.planned_by),
            )
        )

    @property
    def seed(self) -> int:
        """What the REPL's random numbers are drawn from: the same when the run runs again."""
        known = self.record.seed(self.log.run) if self.record is not None else None
        return zlib.crc32(f"{self.log.id} {self.log.run}".encode()) if known is None else known

    def _note_step(self, planned: Planned, output: str) -> None:
        step = {"reasoning": planned.reasoning, "code": planned.code, "output": output}
        self.transcript.steps.append(step)
        if self.task.verbose:
            say_output(output)

    def _finish(self, ending: Ending) -> Run:
        spend = self.account.spend
        end = RunEnded(status=ending.status, reason=ending.reason, spend=spend.as_dict())
        ended = self.log.append(end)
        if self._replays and self.log.failure is None:
            spend = Spend.of(ended.spend)  # with the time it took then
        return Run(
            id=self.log.id,
            status=ending.status,
            reason=ending.reason,
            planned_by=self.planned_by,
            spend=spend,
            _events=self.log.whole(),
            _trajectory=tuple(self.transcript.steps),
            models=self.task.models,
            isolation=self._bench.isolation if self._bench else {},
        )


async def _done(event: Event) -> Event:
    return event


async def _written(code: str) -> Event:
    return Planned(reasoning="", code=code, clock=time.time())


async def _cancelled(*tasks: asyncio.Future) -> None:
    """Cancels tasks and waits until they have cleaned up."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # read, so that it is not reported as never retrieved
