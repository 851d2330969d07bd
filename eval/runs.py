"""One measured run, from what a user asks for to its table."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dspy

from bench.header import header
from eval import hub
from eval.contenders import Contender
from eval.ledger import Ledger, examples_digest, read_run
from eval.locking import run_folder
from eval.models import models_of
from eval.progress import Progress
from eval.prompts import prompt_hashes
from eval.purse import Prices, Purse
from eval.records import Record, digest
from eval.runner import PAUSES, run_examples
from eval.tasks import load, task_named
from eval.trials import Subject
from rlm_dspy import ConfigurationError


@dataclass(frozen=True)
class Data:
    """Which examples.

    Args:
        task: "NAME" or "NAME:PART".
        n: How many of each length, before the group is chosen.
        lengths: The lengths in tokens; None for the task's own.
        seed: Which ones.
        generated: Whether they are made instead of loaded.
        group: Only those of a group, or of a kind of question in it ("counting/NUMERIC_ONE_CLASS");
            None for all.
    """

    task: str
    n: int = 50
    lengths: tuple[int, ...] | None = None
    seed: int = 1
    generated: bool = False
    group: str | None = None

    def examples(self, *, some: bool = True) -> list[dspy.Example]:
        """The examples.

        Args:
            some: Whether there have to be some.

        Raises:
            ConfigurationError: There are no such ones, where there have to be.
            ContextError: Their data cannot be read.
        """
        lengths = {} if self.lengths is None else {"lengths": self.lengths}
        found = load(self.task, n=self.n, seed=self.seed, generated=self.generated, **lengths)
        chosen = [e for e in found if self.group in (None, e.group, _kind(e))]
        if some and not chosen:
            names = {name for e in found for name in (e.group, _kind(e))}
            task, part = task_named(self.task)
            all_of_them = () if part in task.groups else task.groups
            more = [name for name in all_of_them if name not in names]
            also = f", which has also: {', '.join(more)}" if more else ""
            raise ConfigurationError(
                f"{self.task} has no examples of the group {self.group!r} among the {len(found)} "
                f"that n={self.n} gives, but of: {', '.join(sorted(names))}. Take one of these, "
                f"or a larger n{also}."
            )
        return chosen


def _kind(example: dspy.Example) -> str:
    """An example's group and, where its task tells kinds of questions apart, the kind."""
    kind = str(example.get("question_type", "")).removeprefix("TASK_TYPE.")
    return f"{example.group}/{kind}" if kind else example.group


@dataclass(frozen=True)
class Means:
    """What a run may use.

    Args:
        dollars: What everything together may cost; None for no limit.
        prices: What models cost.
        workers: How many examples are under way at once.
        pauses: How long to wait before each further attempt after a breakdown, seconds.
    """

    dollars: float | None = None
    prices: Prices = field(default_factory=Prices)
    workers: int = 8
    pauses: Sequence[float] = PAUSES


def measure(
    data: Data,
    contender: Contender,
    out: Path,
    *,
    command: str,
    means: Means | None = None,
    same_as: Path | None = None,
) -> tuple[dict[str, Any], list[Record]]:
    """Runs a program over a task's examples, or goes on with such a run.

    Args:
        data: Which examples.
        contender: What answers.
        out: The run's folder.
        command: How a reader makes the same run.
        means: What it may use.
        same_as: Another run's folder, whose examples are taken instead of all of the data.

    Returns:
        The start line and the records, for a report.

    Raises:
        RLMError: Something that was asked for is not right, or is not there.
    """
    means = means or Means()
    if same_as is not None:
        data, wanted = _examples_of(same_as, data)
    examples = data.examples()
    if same_as is not None:
        examples = _same(examples, wanted, same_as)
    task, _ = task_named(data.task)
    subject = contender.subject(examples, task.metrics, data.seed)
    settings = settings_of(data, contender, subject, examples, contender.made())
    purse = Purse(means.dollars, means.prices)
    made = made_with(command, data, purse, (subject.lm, subject.sub_lm))
    for model in models_of(subject.lm, subject.sub_lm):
        purse.require_price(model)
    with run_folder(out):
        ledger = Ledger(out, settings, made)
        purse.settle(0.0, ledger.spent(examples))
        over = [ledger.records[example.id] for example in examples if ledger.ended(example)]
        with Progress(len(examples), over, purse) as progress:
            records = run_examples(
                subject,
                examples,
                ledger,
                purse=purse,
                workers=means.workers,
                pauses=means.pauses,
                told=progress.tell,
            )
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
        "lm": ",".join(models_of(subject.lm)),
        "sub_lm": ",".join(models_of(subject.sub_lm or subject.lm)),
        "seconds": contender.seconds,
        "cache": contender.cache,
        "examples": len(examples),
        "examples_digest": examples_digest(examples),
        "prompts": prompt_hashes(program),
    }


def _same(
    examples: Sequence[dspy.Example], wanted: Mapping[str, str], folder: Path
) -> list[dspy.Example]:
    """The examples that another run has records of.

    Raises:
        ConfigurationError: One of them is not there any more, or is another one by now.
    """
    found = [example for example in examples if wanted.get(example.id) == digest(example)]
    if lost := sorted(set(wanted) - {example.id for example in found}):
        raise ConfigurationError(
            f"{len(lost)} of the {len(wanted)} examples of {folder} are not in the data, or have "
            f"changed since: {', '.join(lost[:3])}. Measure both programs again.",
            examples=lost,
        )
    return found


def _examples_of(folder: Path, data: Data) -> tuple[Data, dict[str, str]]:
    """The data of another run of the task, and the digests of its examples by id."""
    start, records = read_run(folder)
    settings = start["settings"]
    if task_named(settings["task"])[0] is not task_named(data.task)[0]:
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
    return taken, {record.id: record.digest for record in records}


def made_with(command: str, data: Data, purse: Purse, lms: Iterable[Any]) -> dict[str, Any]:
    """The command, the versions, the commit, the machine, where the data is, what has no price."""
    told = dict(line.split(": ", 1) for line in header(command).splitlines())
    unpriced = sorted(model for model in models_of(*lms) if not purse.prices.known(model))
    return {"data": _read_from(data), **told, "unpriced": unpriced}


def _read_from(data: Data) -> str:
    """Where the examples came from."""
    task, part = task_named(data.task)
    if data.generated:
        return "generated"
    source = f"{part}: {task.needs}" if part else task.needs
    copies = os.environ.get(hub.VARIABLE)
    return f"{source}; copies of data sets in {hub.VARIABLE}={copies}" if copies else source
