"""Tunes a program's prompts and keeps the result only if it is better on examples never seen.

The old program is measured on the test split first, and twice what that cost is kept back for the
winner, so that the tuning cannot spend it. The winner is measured once, and saved if the interval
of the paired gain lies above zero (the gate).
"""

import contextlib
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import dspy

from eval.accounts import Account
from eval.ledger import Ledger
from eval.meter import metered
from eval.models import lm_named
from eval.optimizers import OPTIMIZERS, Tuning, TuningMetric
from eval.progress import Progress
from eval.prompts import prompts_diff
from eval.purse import Bill, Prices, Purse
from eval.records import Record
from eval.runner import run_examples
from eval.runs import Contender, Data, made_with, settings_of
from eval.splits import split
from eval.stats import Difference, difference, scores_of
from eval.tasks import task_named
from eval.trials import Subject
from rlm_dspy import Budget, ConfigurationError

# What is kept back for the winner's test, as a multiple of the old program's: demos make prompts
# longer.
HELD = 2.0


@dataclass(frozen=True)
class Plan:
    """How to tune.

    Args:
        optimizer: A name of `OPTIMIZERS`.
        train: How many examples to learn from.
        val: How many to choose by.
        test: How many to judge by, never seen before.
        teacher: The model that makes the demos; None for the program's own.
        reflection_lm: The model that rewrites instructions; None for the program's own.
        rounds: How many steps of search.
        demos: The most demos a predictor gets.
        seconds: When the tuning starts no further call, seconds after its beginning.
        gate: Whether only a significant gain is saved.
    """

    optimizer: str
    train: int
    val: int
    test: int
    teacher: Any = None
    reflection_lm: Any = None
    rounds: int = 6
    demos: int = 4
    seconds: float | None = None
    gate: bool = True

    @property
    def sizes(self) -> Mapping[str, int]:
        """The sizes of the parts; the test's contexts are dealt out first."""
        return {"test": self.test, "val": self.val, "train": self.train}


@dataclass(frozen=True)
class Search:
    """What an optimizer's search was.

    Args:
        bill: What it cost, all models together.
        seconds: How long it took.
        refused: The limit that ended it, "dollars" or "seconds"; empty where none did.
        error: What the optimizer raised; empty where it ended by itself.
    """

    bill: Bill
    seconds: float
    refused: str
    error: str


@dataclass(frozen=True)
class Tuned:
    """What a tuning came to.

    Args:
        plan: How it was tuned.
        start: The start line of the old program's measurement.
        before: The old program's records on the test split.
        after: The winner's; none where the optimizer changed nothing.
        gain: The paired gain; None where the optimizer changed nothing.
        search: What the search was.
        diff: What changed in the prompts.
        saved: Whether the winner was saved.
    """

    plan: Plan
    start: dict[str, Any]
    before: list[Record]
    after: list[Record]
    gain: Difference | None
    search: Search
    diff: str
    saved: bool


def optimize(
    data: Data,
    contender: Contender,
    plan: Plan,
    out: Path,
    *,
    command: str,
    dollars: float | None = None,
    prices: Prices | None = None,
    workers: int = 8,
) -> Tuned:
    """Tunes a program.

    Args:
        data: Which examples.
        contender: The program.
        plan: How to tune.
        out: Where the winner is saved, a `.json` file that is not there yet. The measurements lie
            beside it, in the folder of its name without the ending.
        command: How a reader does the same.
        dollars: What everything together may cost; None for no limit.
        prices: What models cost.
        workers: How many examples are under way at once.

    Raises:
        RLMError: Something that was asked for is not right, or is not there.
    """
    if plan.optimizer not in OPTIMIZERS:
        raise ConfigurationError(
            f"There is no optimizer {plan.optimizer!r}; there are {', '.join(OPTIMIZERS)}."
        )
    folder = _fresh(out)
    data, parts = split(data, plan.sizes)
    tuner = _Tuner(data, contender, plan, parts, Purse(dollars, prices), workers)
    made = made_with(command, data)
    start, before = tuner.measured(tuner.subject, contender.made(), folder / "before", made)
    held = HELD * sum(record.bill.dollars for record in before)
    with tuner.purse.holding(held):
        program, search = tuner.search()
    diff = prompts_diff(contender.made(), program)
    after: list[Record] = []
    if diff:
        make = partial(_with_prompts, contender, program.dump_state())
        subject = replace(tuner.subject, make=make)
        _, after = tuner.measured(subject, program, folder / "after", made)
    gain = _gain(before, after)
    is_gain = gain is not None and gain.n == plan.test and gain.is_gain
    saved = bool(diff) and (is_gain or not plan.gate)
    if saved:
        out.parent.mkdir(parents=True, exist_ok=True)
        program.save(out)
    return Tuned(plan, start, before, after, gain, search, diff, saved)


class _Tuner:
    """The parts of one tuning, and what pays for it."""

    def __init__(
        self,
        data: Data,
        contender: Contender,
        plan: Plan,
        parts: Mapping[str, list[dspy.Example]],
        purse: Purse,
        workers: int,
    ) -> None:
        metrics = task_named(data.task)[0].metrics
        self.purse = purse
        self.subject = contender.subject(
            [example for part in parts.values() for example in part], metrics, data.seed
        )
        self._data, self._contender, self._plan = data, contender, plan
        self._parts, self._workers = parts, workers
        for lm in filter(None, (self.subject.lm, self.subject.sub_lm)):
            purse.require_price(lm.model)

    def measured(
        self, subject: Subject, program: dspy.Module, folder: Path, made: dict[str, str]
    ) -> tuple[dict[str, Any], list[Record]]:
        """A program's start line and records on the test split."""
        test = self._parts["test"]
        settings = settings_of(self._data, self._contender, subject, test, program)
        ledger = Ledger(folder, settings, made)
        with Progress(len(test), [], self.purse) as progress, contextlib.closing(ledger):
            records = run_examples(
                subject,
                test,
                ledger,
                purse=self.purse,
                workers=self._workers,
                told=progress.tell,
            )
        return {"settings": settings, "made_with": made}, records

    def search(self) -> tuple[dspy.Module, Search]:
        """The program with the prompts that the optimizer found, and what the search was."""
        plan, begun = self._plan, time.monotonic()
        until = None if plan.seconds is None else begun + plan.seconds
        account = Account(self.purse, until=until)
        found, error = None, ""
        with (
            dspy.context(lm=metered(self.subject.lm, account)),
            contextlib.redirect_stdout(sys.stderr),  # optimizers print
        ):
            try:
                student = self._made(self.subject.sub_lm, account)
                found = OPTIMIZERS[plan.optimizer](student, self._tuning(account))
            except ConfigurationError:
                raise
            except Exception as raised:  # noqa: BLE001 - the optimizers' boundary: reported
                error = f"{type(raised).__name__}: {raised}"
        program = self._contender.made()
        if found is not None:
            for predictor in found.predictors():
                predictor.lm = None
            program.load_state(found.dump_state())
        seconds = time.monotonic() - begun
        return program, Search(account.close(), seconds, account.refused, error)

    def _made(self, sub_lm: Any, account: Account) -> dspy.Module:
        metered_sub_lm = None if sub_lm is None else metered(sub_lm, account)
        budget = Budget(seconds=self._contender.seconds)
        return self._contender.made(sub_lm=metered_sub_lm, budget=budget)

    def _tuning(self, account: Account) -> Tuning:
        plan, parts = self._plan, self._parts
        seen = [*parts["train"], *parts["val"]]

        def lm(name: Any) -> Any:
            return metered(lm_named(name, seen, seed=self._data.seed, cache=True), account)

        taught = plan.teacher is not None
        return Tuning(
            train=parts["train"],
            val=parts["val"],
            metric=TuningMetric(seen),
            reflection_lm=dspy.settings.lm
            if plan.reflection_lm is None
            else lm(plan.reflection_lm),
            teacher=self._made(None, account) if taught else None,
            teacher_lm=lm(plan.teacher) if taught else None,
            demos=plan.demos,
            rounds=plan.rounds,
            workers=self._workers,
            seed=self._data.seed,
        )


def _gain(before: list[Record], after: list[Record]) -> Difference | None:
    """The paired gain on the test split, time-outs counted as 0; None where nothing changed."""
    if not after:
        return None
    contexts = {record.id: record.context_id for record in before}
    old, new = scores_of(before, late_as_zero=True), scores_of(after, late_as_zero=True)
    return difference(old, new, contexts)


def _with_prompts(contender: Contender, state: dict[str, Any], **given: Any) -> dspy.Module:
    program = contender.made(**given)
    program.load_state(state)
    return program


def _fresh(out: Path) -> Path:
    """The folder of the measurements beside a file that is to be made."""
    folder = out.with_suffix("")
    if out.suffix != ".json" or out.exists() or folder.exists():
        raise ConfigurationError(
            f"--out {out}: give a .json file that is not there yet, nor a folder of its name."
        )
    return folder
