"""`RLM`: a recursive language model as a DSPy module.

Signature in, predictors built, a run started; what a run does is in `flow`. The module's state is
its predictors: `forward` changes nothing on it.
"""

import functools
from collections.abc import Callable, Iterable
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
from rlm_dspy.loop import refuse_own_thread
from rlm_dspy.models import sub_models
from rlm_dspy.options import RLMOptions
from rlm_dspy.repl import RestrictedInterpreter
from rlm_dspy.resubmission import answered_once
from rlm_dspy.run import Run
from rlm_dspy.runs.recipes import Recipe
from rlm_dspy.signatures import (
    LeanPredict,
    SubQuery,
    extract_signature,
    outer_signature,
    plan_signature,
)
from rlm_dspy.starting import RunHandle
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
        self._tools = normalized(tools, self.signature)
        self._sub_lm = Shared(sub_models(sub_lm))
        self._interpreter_factory = checked_factory(interpreter_factory)
        self._runtime = instructions_of(self._interpreter_factory)
        self.plan = LeanPredict(plan_signature(self.signature, self._runtime))
        self.sub_query = LeanPredict(SubQuery)
        self.extract = LeanPredict(extract_signature(self.signature))
        self.direct = LeanPredict(self.signature)

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
        start = functools.partial(self.start, interpreter_factory=interpreter_factory, **inputs)
        return answered_once(self, inputs, start)

    async def aforward(self, *, interpreter_factory: Any = None, **inputs: Any) -> dspy.Prediction:
        """`forward` for asynchronous code; cancelling it ends the run."""
        return await self.start(interpreter_factory=interpreter_factory, **inputs).wait()

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
        whole = Context.from_path(context) if isinstance(context, Path) else Context.coerce(context)
        result = self(context=whole, query=query)
        return result[next(iter(self.signature.output_fields))], result.run

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
        task = self._task(interpreter_factory, listeners)
        given = prepared(
            self.signature, inputs, self.options, ours=task.ours, searched=task.recipe is not None
        )
        return RunHandle(task, given)

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
            calls={n: callable_of(t, self.options.tool_seconds) for n, t in self._tools.items()},
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
        )

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
