"""Tunes a program's prompts and keeps the result only if it is better on examples never seen.

The old program is measured on the test split first, and twice what that cost is kept back for the
winner, so that the tuning cannot spend it. The winner is measured once, and saved if the interval
of the paired gain lies above zero (the gate).
"""

import contextlib
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import dspy

from eval.accounts import Account
from eval.contenders import Contender
from eval.ledger import Ledger
from eval.locking import run_folder
from eval.meter import metered
from eval.models import lm_named, models_of
from eval.optimizers import OPTIMIZERS, Tuning, TuningMetric
from eval.progress import Progress
from eval.prompts import prompts_diff
from eval.purse import Purse
from eval.records import Record
from eval.redaction import cleaned
from eval.runner import run_examples
from eval.runs import Data, Means, made_with, settings_of
from eval.splits import split
from eval.stats import Difference, difference, scores_of
from eval.tasks import task_named
from eval.trials import MISCONFIGURED, Subject
from eval.tuned import Plan, Search, Tuned
from rlm_dspy import Budget, ConfigurationError, ProviderError


def optimize(
    data: Data,
    contender: Contender,
    plan: Plan,
    out: Path,
    *,
    command: str,
    means: Means | None = None,
) -> Tuned:
    """Tunes a program.

    Args:
        data: Which examples.
        contender: The program.
        plan: How to tune.
        out: Where the winner is saved, a `.json` file that is not there yet. Beside it lie the
            measurements, in the folder of its name without the ending, and the report (`.md`).
        command: How a reader does the same.
        means: What it may use, the measurements and the search together.

    Raises:
        RLMError: Something that was asked for is not right, or is not there; or a model refused
            the search as it would every request, for want of a key or of money, and the search
            found nothing.
    """
    _check(plan)
    folder = _fresh(out)
    data, parts = split(data, plan.sizes)
    tuner = _Tuner(data, contender, plan, parts, means or Means())
    made = made_with(command, data, tuner.purse, tuner.models)
    start, before = tuner.measured(tuner.subject, contender.made(), folder / "before", made)
    with tuner.purse.holding(plan.held * sum(record.bill.dollars for record in before)):
        program, search = tuner.search()
    diff = cleaned(prompts_diff(contender.made(), program), tuner.models)
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
        means: Means,
    ) -> None:
        metrics = task_named(data.task)[0].metrics
        self.purse = Purse(means.dollars, means.prices)
        self.subject = contender.subject(
            [example for part in parts.values() for example in part], metrics, data.seed
        )
        self._data, self._contender, self._plan = data, contender, plan
        self._parts, self._means = parts, means
        seen = [*parts["train"], *parts["val"]]  # of the test split a simulated model knows nothing
        self._reflection_lm, self._teacher_lm = (
            None if name is None else lm_named(name, seen, seed=data.seed, cache=True)
            for name in (plan.reflection_lm, plan.teacher)
        )
        self.models = (self.subject.lm, self.subject.sub_lm, self._reflection_lm, self._teacher_lm)
        for model in models_of(*self.models):
            self.purse.require_price(model)

    def measured(
        self, subject: Subject, program: dspy.Module, folder: Path, made: dict[str, Any]
    ) -> tuple[dict[str, Any], list[Record]]:
        """A program's start line and records on the test split."""
        test = self._parts["test"]
        settings = settings_of(self._data, self._contender, subject, test, program)
        with run_folder(folder), Progress(len(test), [], self.purse) as progress:
            ledger = Ledger(folder, settings, made)
            records = run_examples(
                subject,
                test,
                ledger,
                purse=self.purse,
                workers=self._means.workers,
                pauses=self._means.pauses,
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
            except Exception as raised:  # noqa: BLE001 - the optimizers' boundary: reported
                error = cleaned(f"{type(raised).__name__}: {raised}", self.models)
        bill = account.close()
        program = self._contender.made()
        if found is not None:
            for predictor in found.predictors():
                predictor.lm = None
            program.load_state(found.dump_state())
        troubles = list(account.troubles.values())  # which optimizers pass over
        for trouble in troubles:
            if isinstance(trouble, MISCONFIGURED) and not self._changed(program):
                raise ProviderError(cleaned(str(trouble), self.models), model=trouble.model)
        failed = [cleaned(f"{type(each).__name__}: {each}", self.models) for each in troubles]
        first = failed[0] if failed else ""
        seconds = time.monotonic() - begun
        return program, Search(bill, seconds, account.refused, error, first, len(failed))

    def _changed(self, program: dspy.Module) -> bool:
        return bool(prompts_diff(self._contender.made(), program))

    def _made(self, sub_lm: Any, account: Account) -> dspy.Module:
        metered_sub_lm = None if sub_lm is None else metered(sub_lm, account)
        budget = Budget(seconds=self._contender.seconds)
        return self._contender.made(sub_lm=metered_sub_lm, budget=budget)

    def _tuning(self, account: Account) -> Tuning:
        plan, parts = self._plan, self._parts

        def charged(lm: Any) -> Any:
            return None if lm is None else metered(lm, account)

        return Tuning(
            train=parts["train"],
            val=parts["val"],
            metric=TuningMetric([*parts["train"], *parts["val"]]),
            reflection_lm=charged(self._reflection_lm) or dspy.settings.lm,
            teacher=None if plan.teacher is None else self._made(None, account),
            teacher_lm=charged(self._teacher_lm),
            demos=plan.demos,
            rounds=plan.rounds,
            workers=self._means.workers,
            seed=self._data.seed,
        )


def _check(plan: Plan) -> None:
    if plan.optimizer not in OPTIMIZERS:
        raise ConfigurationError(
            f"There is no optimizer {plan.optimizer!r}; there are {', '.join(OPTIMIZERS)}."
        )
    if plan.optimizer == "gepa" and plan.teacher is not None:
        raise ConfigurationError("GEPA takes no teacher: leave --teacher out.")


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
    named = out.suffix == ".json"
    folder = out.with_suffix("") if named else out
    taken = (
        [path for path in (out, folder, out.with_suffix(".md")) if path.exists()] if named else []
    )
    if not named or taken:
        there = f" {', '.join(map(str, taken))} exists." if taken else ""
        raise ConfigurationError(
            f"--out {out}: give a .json file that is not there yet, nor a folder or a report "
            f"(.md) of its name.{there}"
        )
    return folder
