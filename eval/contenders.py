"""What answers: a program with its models, as a user names them."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dspy

import programs
from eval.metrics import METRICS
from eval.models import lm_named
from eval.trials import Subject
from rlm_dspy import Budget, ConfigurationError


@dataclass(frozen=True)
class Contender:
    """What answers.

    Args:
        program: A name of `programs.PROGRAMS`, or "MODULE:CLASS" of one's own.
        lm: The model that plans and answers, a name or an LM; None for what the environment names.
        sub_lm: The sub-queries' model; None for the same.
        planned: Whether a model plans, or a recipe is followed; None for the program's default.
        load: A file that an optimizer's program was saved to.
        seconds: How long an example may take.
        cache: Whether dspy's cache may answer.
    """

    program: str
    lm: Any = None
    sub_lm: Any = None
    planned: bool | None = None
    load: Path | None = None
    seconds: float = 120.0
    cache: bool = False

    def made(self, *, sub_lm: Any = None, budget: Budget | None = None) -> dspy.Module:
        """The program.

        Raises:
            ConfigurationError: There is none of this name, it is not made as a program is, or its
                file is not its.
        """
        given = {"sub_lm": sub_lm, "budget": budget, **self._planning()}
        try:
            program = _maker(self.program)(**given)
        except ConfigurationError:
            raise
        except TypeError as error:
            why = f"it does not take {', '.join(f'{name}=' for name in given)}: {error}"
            raise _no_program(self.program, why) from error
        if not isinstance(program, dspy.Module):
            raise _no_program(self.program, f"it makes a {type(program).__name__}")
        if self.load is not None:
            try:
                program.load(self.load)
            except Exception as error:  # whatever dspy raises over what the file holds
                raise ConfigurationError(
                    f"{self.load} cannot be loaded as the prompts of {self.program!r}: {error!r}. "
                    "Give a file that `optimize` saved for this program."
                ) from error
        return program

    def subject(
        self, examples: Sequence[dspy.Example], metrics: tuple[str, ...], seed: int
    ) -> Subject:
        """It with its models.

        Args:
            examples: What it is to answer.
            metrics: The task's metrics.
            seed: Of a simulated model.

        Raises:
            ConfigurationError: There is no such model, or an example is scored by what the program
                does not give.
        """
        self._require_fields(examples)

        def lm(name: Any, role: str) -> Any:
            return lm_named(name, examples, seed=seed, cache=self.cache, role=role)

        sub_lm = None if self.sub_lm is None else lm(self.sub_lm, "sub")
        return Subject(self.made, lm(self.lm, "main"), sub_lm, metrics, self.seconds)

    def _require_fields(self, examples: Sequence[dspy.Example]) -> None:
        if self.program not in programs.PROGRAMS:
            return  # what a user's own program gives is known when it has answered
        for example in examples:
            field = METRICS[example.metric].field
            if field != "answer":
                raise ConfigurationError(
                    f"{example.id} is scored by {example.metric!r}, which reads {field!r}: the "
                    f"program {self.program!r} gives 'answer' alone. Take another metric, or a "
                    f"program of your own (MODULE:CLASS) that gives {field!r}.",
                    metric=example.metric,
                )

    def _planning(self) -> dict[str, Any]:
        return {} if self.planned is None else {"planned": self.planned}


def _maker(name: str) -> Callable[..., dspy.Module]:
    module, colon, attribute = name.partition(":")
    if not colon:
        return lambda **given: programs.build(name, **given)
    if not module or module.startswith(".") or not attribute:
        raise _no_program(name, "it names no module or no class")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"There is no program {name!r}: {error}.", program=name) from error


def _no_program(name: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"The program {name!r} cannot be used: {why}. Write MODULE:CLASS, a dspy.Module that takes "
        "sub_lm= and budget=.",
        program=name,
    )
