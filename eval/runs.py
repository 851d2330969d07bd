"""One measured run, from what a user asks for to its table."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dspy

import programs
from bench.header import header
from eval.ledger import Ledger, examples_digest, read_run
from eval.models import lm_named
from eval.progress import Progress
from eval.prompts import prompt_hashes
from eval.purse import Prices, Purse
from eval.records import Record
from eval.runner import run_examples
from eval.tasks import load, task_named
from eval.trials import Subject
from rlm_dspy import Budget, ConfigurationError


@dataclass(frozen=True)
class Data:
    """Which examples.

    Args:
        task: "NAME" or "NAME:PART".
        n: How many of each length.
        lengths: The lengths in tokens; None for the task's own.
        seed: Which ones.
        generated: Whether they are made instead of loaded.
        group: Only those of a group; None for all.
    """

    task: str
    n: int = 50
    lengths: tuple[int, ...] | None = None
    seed: int = 1
    generated: bool = False
    group: str | None = None

    def examples(self) -> list[dspy.Example]:
        """The examples.

        Raises:
            ConfigurationError: There are no such ones.
            ContextError: Their data cannot be read.
        """
        lengths = {} if self.lengths is None else {"lengths": self.lengths}
        found = load(self.task, n=self.n, seed=self.seed, generated=self.generated, **lengths)
        chosen = [e for e in found if self.group in (None, e.group)]
        if not chosen:
            groups = ", ".join(sorted({example.group for example in found}))
            raise ConfigurationError(
                f"{self.task} has no examples of the group {self.group!r} here, but of: {groups}."
            )
        return chosen


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
            ConfigurationError: There is none of this name, or its file is not its.
        """
        program = _maker(self.program)(sub_lm=sub_lm, budget=budget, **self._planning())
        if self.load is not None:
            try:
                program.load(self.load)
            except (OSError, KeyError, ValueError) as error:
                raise ConfigurationError(
                    f"{self.load} cannot be loaded as the prompts of {self.program!r}: {error!r}."
                ) from error
        return program

    def subject(
        self, examples: Sequence[dspy.Example], metrics: tuple[str, ...], seed: int
    ) -> Subject:
        """It with its models."""

        def lm(name: Any, role: str) -> Any:
            return lm_named(name, examples, seed=seed, cache=self.cache, role=role)

        sub_lm = None if self.sub_lm is None else lm(self.sub_lm, "sub")
        return Subject(self.made, lm(self.lm, "main"), sub_lm, metrics, self.seconds)

    def _planning(self) -> dict[str, Any]:
        return {} if self.planned is None else {"planned": self.planned}


def measure(
    data: Data,
    contender: Contender,
    out: Path,
    *,
    command: str,
    dollars: float | None = None,
    prices: Prices | None = None,
    workers: int = 8,
    same_as: Path | None = None,
) -> tuple[dict[str, Any], list[Record]]:
    """Runs a program over a task's examples, or goes on with such a run.

    Args:
        data: Which examples.
        contender: What answers.
        out: The run's folder.
        command: How a reader makes the same run.
        dollars: What all examples together may cost; None for no limit.
        prices: What models cost.
        workers: How many examples are under way at once.
        same_as: Another run's folder, whose examples are taken instead of all of the data.

    Returns:
        The start line and the records, for a report.

    Raises:
        RLMError: Something that was asked for is not right, or is not there.
    """
    if same_as is not None:
        data, wanted = _examples_of(same_as, data)
    examples = data.examples()
    if same_as is not None:
        examples = [example for example in examples if example.id in wanted]
    task, _ = task_named(data.task)
    subject = contender.subject(examples, task.metrics, data.seed)
    settings = settings_of(data, contender, subject, examples, contender.made())
    made = made_with(command, data)
    purse = Purse(dollars, prices)
    for lm in filter(None, (subject.lm, subject.sub_lm)):
        purse.require_price(lm.model)
    ledger = Ledger(out, settings, made)
    purse.settle(0.0, ledger.spent(examples))
    over = [ledger.records[example.id] for example in examples if ledger.ended(example)]
    try:
        with Progress(len(examples), over, purse) as progress:
            records = run_examples(
                subject, examples, ledger, purse=purse, workers=workers, told=progress.tell
            )
    finally:
        ledger.close()
    return {"settings": settings, "made_with": made}, records


def settings_of(
    data: Data,
    contender: Contender,
    subject: Subject,
    examples: Sequence[dspy.Example],
    program: dspy.Module,
) -> dict[str, Any]:
    """What makes a run this one: the options, the examples, the models and the prompts.

    Args:
        data: Where the examples come from.
        contender: What answers.
        subject: The same, with its models.
        examples: The examples.
        program: The program whose prompts are used.
    """
    lengths = None if data.lengths is None else list(data.lengths)
    return {
        "task": data.task,
        "n": data.n,
        "lengths": lengths,
        "seed": data.seed,
        "generated": data.generated,
        "group": data.group,
        "program": contender.program,
        "planned": contender.planned,
        "load": None if contender.load is None else str(contender.load),
        "lm": subject.lm.model,
        "sub_lm": (subject.sub_lm or subject.lm).model,
        "seconds": contender.seconds,
        "cache": contender.cache,
        "examples": len(examples),
        "examples_digest": examples_digest(examples),
        "prompts": prompt_hashes(program),
    }


def _examples_of(folder: Path, data: Data) -> tuple[Data, set[str]]:
    """The data of another run of the task, and the ids of its examples."""
    start, records = read_run(folder)
    settings = start["settings"]
    if settings["task"] != data.task:
        raise ConfigurationError(f"{folder} is a run of {settings['task']!r}, not {data.task!r}.")
    lengths = settings["lengths"]
    taken = replace(
        data,
        n=settings["n"],
        lengths=None if lengths is None else tuple(lengths),
        seed=settings["seed"],
        generated=settings["generated"],
        group=settings["group"],
    )
    return taken, {record.id for record in records}


def made_with(command: str, data: Data) -> dict[str, str]:
    """The command, the versions, the commit, the machine, and where the data is."""
    told = dict(line.split(": ", 1) for line in header(command).splitlines())
    return {"data": task_named(data.task)[0].needs, **told}


def _maker(name: str) -> Callable[..., dspy.Module]:
    module, colon, attribute = name.partition(":")
    if not colon:
        return lambda **given: programs.build(name, **given)
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"There is no program {name!r}: {error}.", program=name) from error
