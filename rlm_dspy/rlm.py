"""`RLM`: a recursive language model as a DSPy module.

Signature in, predictors built, a run started; what a run does is in `flow`. The module's state is
its predictors: `forward` changes nothing on it.
"""

import functools
from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy

from rlm_dspy.budget import Budget
from rlm_dspy.context import Context
from rlm_dspy.errors import ConfigurationError
from rlm_dspy.events import Event
from rlm_dspy.inputs import prepared
from rlm_dspy.interpreters import (
    checked_factory,
    chosen_factory,
    instructions_of,
    is_ours,
    refuse_unisolated,
)
from rlm_dspy.loop import callers_loop, refuse_own_thread
from rlm_dspy.models import sub_models
from rlm_dspy.options import RLMOptions
from rlm_dspy.privacy import permitted
from rlm_dspy.reopening import link_of
from rlm_dspy.repl import RestrictedInterpreter
from rlm_dspy.rerunning import load, started
from rlm_dspy.resubmission import answered_once
from rlm_dspy.run import Run
from rlm_dspy.runs import telemetry
from rlm_dspy.runs.recipes import Recipe
from rlm_dspy.runs.record import Mode
from rlm_dspy.runs.stored import Stored
from rlm_dspy.session import Session
from rlm_dspy.session_runs import again_in_session
from rlm_dspy.signatures import (
    LeanPredict,
    SubQuery,
    extract_signature,
    outer_signature,
    own,
    plan_signature,
    refuse_taken,
)
from rlm_dspy.starting import RunHandle
from rlm_dspy.streaming import blocking, streamed
from rlm_dspy.task import Task
from rlm_dspy.tools import callable_of, normalized

MAX_LLM_CALLS = 50


class Shared:
    """Holds a value that copies of a module share: `deepcopy` would clone an LM and its history."""

    def __init__(self, value: Any):
        self.value = value

    def __deepcopy__(self, memo: dict[int, Any]) -> "Shared":
        return self


class RLM(dspy.Module):
    """Answers questions over inputs far longer than a model's window.

    The inputs become variables of an isolated Python REPL; a planner model writes code that looks
    at parts of them, sends parts to cheaper sub-queries, and submits the typed outputs. Takes the
    place of `dspy.RLM`: the arguments before `budget` are its, with the same meaning.

    Args:
        signature: The outer inputs and outputs, as a string or a class.
        max_iters: The most steps of the planner.
        max_llm_calls: The most prompts that `llm_query` and `llm_query_batched` may ask; 50
            unless a `budget` is given, which lifts it.
        max_output_chars: How much of a step's output is kept, in characters, cut in the middle.
        verbose: Logs each step at INFO.
        tools: Functions, coroutine functions or `dspy.Tool`s that code in the REPL may call.
        sub_lm: The sub-queries' model, or its name; dspy's configured one by default. A list: each
            stands in for the one before. A dict: code chooses from them by name, as in
            `ask(…, model="fast")`; a value may be a pair of a model and what it is good for.
        interpreter_factory: Makes another interpreter that speaks dspy's protocol; without, what
            `dspy.configure` has, else our own REPL.
        budget: The limits of a run: money, tokens, calls, seconds, steps.
        recipe: A plan written ahead: a `Recipe`, a built-in's name or a file's path.
        options: All else.

    Raises:
        ConfigurationError: The signature, a tool, a name or a recipe is not valid.

    Example:
        >>> rlm = RLM("context, query -> answer: str", budget=Budget(seconds=120))
        >>> [name for name, _ in rlm.named_predictors()]
        ['plan', 'sub_query', 'extract', 'direct']
    """

    def __init__(  # noqa: PLR0913 - dspy.RLM's own arguments, in its order
        self,
        signature: str | type[dspy.Signature] = "context, query -> answer",
        max_iters: int = 20,
        max_llm_calls: int | None = None,
        max_output_chars: int = 10_000,
        verbose: bool = False,
        tools: Iterable[Callable[..., Any] | dspy.Tool] | None = None,
        sub_lm: Any = None,
        interpreter_factory: Callable[[], Any] | None = None,
        *,
        budget: Budget | None = None,
        recipe: Recipe | str | Path | None = None,
        options: RLMOptions | None = None,
    ):
        super().__init__()
        self.signature = outer_signature(signature)
        self.max_iters = max_iters
        self.max_llm_calls = (
            MAX_LLM_CALLS if max_llm_calls is None and budget is None else max_llm_calls
        )
        self.max_output_chars = max_output_chars
        self.verbose = verbose
        self.budget = budget or Budget()
        self.recipe = Recipe.of(recipe)
        self.options = options or RLMOptions()
        if self.options.route == "direct":
            refuse_taken(self.signature)
        self._tools = normalized(tools, self.signature)
        self._sub_lm = Shared(sub_models(sub_lm))
        self._interpreter_factory = checked_factory(interpreter_factory)
        self._runtime = instructions_of(self._interpreter_factory)
        self.plan = LeanPredict(plan_signature(self.signature, self._runtime))
        self.sub_query = LeanPredict(own(SubQuery))
        self.extract = LeanPredict(extract_signature(self.signature))
        self.direct = LeanPredict(own(self.signature))

    @property
    def tools(self) -> dict[str, dspy.Tool]:
        """The user's tools by name."""
        return dict(self._tools)

    @property
    def sub_lm(self) -> Any:
        """The sub-queries' model; None for dspy's configured one."""
        return self._sub_lm.value

    @sub_lm.setter
    def sub_lm(self, lm: Any) -> None:
        self._sub_lm = Shared(lm)

    @property
    def generate_action(self) -> Any:
        """`plan`, by the name that `dspy.RLM` has for it."""
        return self.plan

    @generate_action.setter
    def generate_action(self, predictor: Any) -> None:
        self.plan = predictor

    def forward(self, *, interpreter_factory: Any = None, **inputs: Any) -> dspy.Prediction:
        """Runs to the end and blocks meanwhile.

        Args:
            interpreter_factory: Another interpreter for this run alone.
            **inputs: The signature's inputs. A long text becomes a `Context`.

        Returns:
            The outputs, `trajectory`, `final_reasoning` and `run`.

        Raises:
            ConfigurationError: An input is missing or unknown, or there is no model.
            ProviderError: The planner's model does not answer.
            InterpreterError: The REPL broke.
        """
        refuse_own_thread()
        start = functools.partial(self.launch, inputs, interpreter_factory=interpreter_factory)
        return answered_once(self, inputs, blocking(start))

    async def aforward(self, *, interpreter_factory: Any = None, **inputs: Any) -> dspy.Prediction:
        """`forward` for asynchronous code; cancelling it ends the run.

        Asynchronous tools run on the caller's loop.
        """
        here = self._with_tools_here
        run = self.launch(inputs, interpreter_factory=interpreter_factory, adapt=here)
        return await run.wait()

    def run(self, query: str, context: Any) -> tuple[Any, Run]:
        """The one-line form, for a signature with the inputs `context` and `query`.

        Args:
            query: The question.
            context: A text, a list of documents, a path or a `Context`.

        Returns:
            The first output, and the run.

        Raises:
            ConfigurationError: The signature has other inputs.
        """
        if set(self.signature.input_fields) != {"context", "query"}:
            raise ConfigurationError(
                f"run(query, context) needs a signature with the inputs context and query, "
                f"not {list(self.signature.input_fields)}: call rlm(**inputs) instead."
            )
        whole = context if isinstance(context, Path) else Context.coerce(context)
        result = self(context=whole, query=query)
        return result[next(iter(self.signature.output_fields))], result.run

    def stream(
        self, *, interpreter_factory: Any = None, **inputs: Any
    ) -> AsyncGenerator[Event | dspy.Prediction, None]:
        """The events of a run as they happen, for `async for`; leaving the loop cancels the run.

        Args:
            interpreter_factory: Another interpreter for this run alone.
            **inputs: The signature's inputs.

        Returns:
            Each event of the run, on the caller's loop, and last what `forward` returns. What
            `forward` raises is raised in the loop.

        Example:
            >>> async for event in RLM().stream(context=text, query="Which city?"):
            ...     print(getattr(event, "kind", event))
        """
        given = {"interpreter_factory": interpreter_factory, "adapt": self._with_tools_here}
        return streamed(functools.partial(self.launch, inputs, **given))

    def start(
        self,
        *,
        interpreter_factory: Any = None,
        listeners: tuple[Callable[[Event], None], ...] = (),
        **inputs: Any,
    ) -> RunHandle:
        """Starts a run without waiting for it.

        Args:
            interpreter_factory: Another interpreter for this run alone.
            listeners: Called with each event as it happens, in the run's thread.
            **inputs: The signature's inputs.

        Returns:
            The running run: wait for it, or stop it for its best partial answer.
        """
        return self.launch(inputs, interpreter_factory=interpreter_factory, listeners=listeners)

    def launch(
        self,
        inputs: Mapping[str, Any],
        *,
        interpreter_factory: Any = None,
        listeners: tuple[Callable[[Event], None], ...] = (),
        notes: Mapping[str, Any] | None = None,
        adapt: Callable[[Task], Task] | None = None,
    ) -> RunHandle:
        """`start` for inputs of any name.

        Args:
            inputs: The signature's inputs by name.
            interpreter_factory: Another interpreter for this run alone.
            listeners: Called with each event as it happens, in the run's thread.
            notes: What its record is to know beside, as JSON takes it.
            adapt: What a session makes of the task.

        Returns:
            The running run.
        """
        listeners = (*listeners, *telemetry.listeners())
        task = replace(self._task(interpreter_factory, listeners), notes=notes or {})
        task = adapt(task) if adapt is not None else task
        given = prepared(
            self.signature,
            permitted(task, inputs),
            self.options,
            ours=task.ours,
            searched=task.recipe is not None,
        )
        return RunHandle(task, given)

    def session(
        self,
        *,
        resume: str | None = None,
        budget: Budget | None = None,
        notes: Mapping[str, Any] | None = None,
        **inputs: Any,
    ) -> Session:
        """Opens one REPL for many questions: what code defined, and the answers, stay.

        Args:
            resume: The id of a recorded session, or its beginning, to go on with; "": the newest.
            budget: The limits of all questions together; each has the module's own beside.
            notes: What the record of each question is to know beside, as JSON takes it.
            **inputs: The inputs that all questions share, such as `context`.

        Raises:
            ConfigurationError: An input is unknown.
            StoreError: There is no such session.

        Example:
            >>> with RLM().session(context=text) as session:
            ...     session.ask("Which ships are named?").answer
            ...     session.ask("Which of them sailed last?").answer
        """
        return Session(self, inputs, resume=resume, budget=budget, notes=notes)

    def resume(self, run_id: str | Path | None = None, /, **inputs: Any) -> dspy.Prediction:
        """Goes on with a recorded run that died or ended early, on an equal module.

        The code of its steps runs again; what models and tools said is taken from the record, so
        that nothing is paid twice. One that is completed is replayed.

        Args:
            run_id: Its id, or the beginning of it; None: the newest.
            **inputs: Inputs that are not in the record: what is no plain data, and long texts.

        Returns:
            What `forward` returns.

        Raises:
            StoreError: There is no such run, or another process is at it.
            ReplayMismatch: The module or an input is another one than it was.
        """
        return self.start_again(run_id, "resume", inputs).result()

    def replay(self, run_id: str | Path | None = None, /, **inputs: Any) -> dspy.Prediction:
        """Runs a recorded run again without any model, and checks that all happens as it did.

        Args:
            run_id: Its id, or the beginning of it; a `Path` to a run's own file; None: the newest.
            **inputs: Inputs that are not in the record.

        Returns:
            What `forward` returned.

        Raises:
            StoreError: There is no such run.
            ReplayMismatch: Something happens otherwise.
        """
        return self.start_again(run_id, "replay", inputs).result()

    def fork(
        self, run_id: str | Path | None = None, /, *, at: int | None = None, **inputs: Any
    ) -> dspy.Prediction:
        """A new run that takes from a recorded one what it asked as well.

        Args:
            run_id: Its id, or the beginning of it; None: the newest.
            at: The step from which on the planner is asked anew; None: as far as its prompts are
                the same.
            **inputs: Inputs that are to be others, and those that are not in the record.

        Returns:
            What `forward` returns.

        Raises:
            StoreError: There is no such run.
        """
        return self.start_again(run_id, "fork", inputs, at=at).result()

    def start_again(
        self,
        run_id: str | Path | Stored | None,
        mode: Mode,
        inputs: Mapping[str, Any] | None = None,
        *,
        at: int | None = None,
        listeners: tuple[Callable[[Event], None], ...] = (),
        adapt: Callable[[Task], Task] | None = None,
    ) -> RunHandle:
        """Starts a recorded run again without waiting for it.

        Args:
            run_id: The run, as the other methods take it.
            mode: "resume", "replay" or "fork".
            inputs: Inputs as the other methods take them, by name.
            at: For a fork, see there.
            listeners: Called with each event as it happens, in the run's thread.
            adapt: What a session makes of the task.
        """
        given = dict(inputs or {})
        stored = load(run_id, self.options.store)
        if adapt is None and link_of(stored) is not None:
            return again_in_session(self, stored, mode, given, at=at, listeners=listeners)
        task = self._task(None, listeners)
        task = adapt(task) if adapt is not None else task
        if mode != "replay":  # which asks nobody
            task = replace(task, listeners=(*listeners, *telemetry.listeners()))
            given = permitted(task, given)
        return started(stored, mode, task, given, at)

    def _task(self, interpreter_factory: Any, listeners: tuple[Any, ...]) -> Task:
        factory = chosen_factory(interpreter_factory, self._interpreter_factory)
        if factory in (None, RestrictedInterpreter):
            factory = self._own_interpreter()
        elif self.options.isolation == "require":
            refuse_unisolated(factory)
        return Task(
            outer=self.signature,
            predictors={n: getattr(self, n) for n in ("plan", "sub_query", "extract", "direct")},
            sub_lm=self.sub_lm,
            tools=self._tools,
            calls=self._calls(None),
            factory=factory,
            ours=is_ours(factory),
            signatures=self._signatures(instructions_of(factory)),
            budget=self.budget,
            steps=self._steps(),
            max_llm_calls=self.max_llm_calls,
            max_output_chars=self.max_output_chars,
            verbose=self.verbose,
            recipe=self.recipe,
            options=self.options,
            listeners=listeners,
            seeded=isinstance(factory, functools.partial) and factory.func is RestrictedInterpreter,
            program=type(self).__name__,
        )

    def _calls(self, loop: AbstractEventLoop | None) -> dict[str, Callable[..., Any]]:
        seconds = self.options.tool_seconds
        return {name: callable_of(tool, seconds, loop) for name, tool in self._tools.items()}

    def _with_tools_here(self, task: Task) -> Task:
        """A task whose asynchronous tools run on the caller's loop: what they hold may need it."""
        return replace(task, calls=self._calls(callers_loop()))

    def _signatures(self, runtime: str) -> dict[str, Any]:
        """What the planner is asked with on another interpreter than the module's own."""
        signature = getattr(self.plan, "signature", None)
        said = getattr(signature, "instructions", "")
        if signature is None or not self._runtime or self._runtime not in said:
            return {}
        if runtime == self._runtime:
            return {}
        return {"plan": signature.with_instructions(said.replace(self._runtime, runtime).strip())}

    def _own_interpreter(self) -> Callable[[], Any]:
        options = self.options
        return functools.partial(
            RestrictedInterpreter,
            step_seconds=options.step_seconds,
            memory_mb=options.memory_mb,
            max_output_chars=self.max_output_chars,
            isolation=options.isolation,
        )

    def _steps(self) -> int:
        limit = self.budget.steps
        return self.max_iters if limit is None else min(limit, self.max_iters)
