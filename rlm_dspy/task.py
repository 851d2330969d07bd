"""What a run is to do, as `RLM` hands it to the flow."""

import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import dspy

from rlm_dspy.budget import Budget
from rlm_dspy.events import Event
from rlm_dspy.models.several import SubModels, own_lm
from rlm_dspy.options import RLMOptions
from rlm_dspy.runs.recipes import Recipe
from rlm_dspy.signatures import extract_signature, plan_for


@dataclass(frozen=True)
class Task:
    """What a run is to do; nothing in it changes during a run.

    Args:
        outer: The user's signature.
        predictors: The predictors by name: plan, sub_query, extract, direct.
        sub_lm: The sub-model; None for the predictor's own, else dspy's configured one.
        tools: The user's tools by name, and what the session calls for each.
        factory: Makes the interpreter.
        ours: Whether that interpreter is ours.
        budget: The limits of the whole tree of runs.
        steps: The most steps of this run's planner.
        max_llm_calls: The limit of `llm_query` and its batch; None for no limit.
        max_output_chars: How much of a step's output is kept.
        verbose: Whether each step is logged.
        recipe: The plan written ahead; None to plan.
        options: All else.
        listeners: Called with each event.
        seeded: Whether the factory takes a `seed=`.
        stand_ins: What answers in place of the LMs, by role, where a record answers.
        program: The name of what runs.
        notes: What its record is to know beside.
        earlier: What was asked and answered before in the same REPL, as the planner is told it.
        repl: Gives the REPL of a session, in place of one that `factory` makes.
        review: Given a step's number, reasoning and code, the code that is to run in its place.
        signatures: What predictors are asked with in place of their own signatures, by role: a
            sub-run's are for its own task, a planner's for the interpreter in use.
    """

    outer: type[dspy.Signature]
    predictors: Mapping[str, Any]
    sub_lm: Any
    tools: Mapping[str, dspy.Tool]
    calls: Mapping[str, Callable[..., Any]]
    factory: Callable[[], Any]
    ours: bool
    budget: Budget
    steps: int
    max_llm_calls: int | None
    max_output_chars: int
    verbose: bool
    recipe: Recipe | None
    options: RLMOptions
    listeners: tuple[Callable[[Event], None], ...] = ()
    seeded: bool = False
    stand_ins: Mapping[str, Any] = field(default_factory=dict)
    program: str = "RLM"
    notes: Mapping[str, Any] = field(default_factory=dict)
    signatures: Mapping[str, type[dspy.Signature]] = field(default_factory=dict)
    earlier: str = ""
    repl: Callable[[], Any] | None = None
    review: Callable[[int, str, str], Awaitable[str]] | None = None

    def lm_of(self, role: str) -> Any:
        """The LM that answers for a role; None where none is known yet."""
        own = self.sub_lm if role == "sub_query" else self.stand_ins.get(role)
        return own or own_lm(self.predictors[role]) or dspy.settings.lm

    @property
    def models(self) -> dict[str, str]:
        """The models' names, by "main" and "sub"."""
        main, sub = self.lm_of("plan"), self.lm_of("sub_query")
        return {"main": str(getattr(main, "model", "")), "sub": str(getattr(sub, "model", ""))}

    @property
    def choices(self) -> dict[str, str]:
        """The sub-models that code may choose from, each with what it is good for."""
        if not isinstance(self.sub_lm, SubModels):
            return {}
        return {name: self.sub_lm.descriptions.get(name, "") for name in self.sub_lm.choices}

    def factory_of(self, seed: int) -> Callable[[], Any]:
        """Makes an interpreter whose random numbers are drawn from a seed, where it can be told."""
        seeded: Callable[..., Any] = self.factory
        return functools.partial(seeded, seed=seed) if self.seeded else self.factory

    def signatures_of(self, role: str) -> dict[str, Any]:
        """What is added to a call of a role's predictor."""
        return {"signature": self.signatures[role]} if role in self.signatures else {}

    def signature_of_plan(self) -> type[dspy.Signature] | None:
        """What the planner is asked with; None for a predictor that has no signature."""
        own = getattr(self.predictors["plan"], "signature", None)
        return self.signatures.get("plan", own)

    def inner(self, outer: type[dspy.Signature]) -> "Task":
        """The task of a sub-run with another signature: the same predictors and models.

        The planner keeps its instruction but for what it says of the parent's task.
        """
        plan = self.signature_of_plan()
        signatures = {"extract": extract_signature(outer), "direct": outer}
        if plan is not None:
            signatures["plan"] = plan_for(plan, self.outer, outer)
        inherited = self.options.inherit_tools
        names = [n for n in self.tools if inherited is True or (inherited and n in inherited)]
        return replace(
            self,
            outer=outer,
            recipe=None,
            verbose=False,
            options=self.options.model_copy(update={"min_coverage": 0.0}),
            tools={name: self.tools[name] for name in names},
            calls={name: self.calls[name] for name in names},
            signatures=signatures,
            earlier="",
            repl=None,
            review=None,
        )
