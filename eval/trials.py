"""One attempt of a program at an example: bounded in time and money, and never scored in silence.

A wrong answer, a program that failed, a time-out and a broken model are four different things here;
see `eval.records.Outcome`.
"""

import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any

import dspy
from dspy.primitives.code_interpreter import CodeInterpreterError
from dspy.utils.exceptions import (
    LMAuthError,
    LMBillingError,
    LMConfigurationError,
    LMInvalidRequestError,
    LMUnsupportedModelError,
)

from eval.accounts import Account
from eval.journal import Journal
from eval.labelling import label_counts
from eval.meter import metered
from eval.metrics import METRICS, run_of, said
from eval.purse import Bill, Purse
from eval.records import NO_SCORE, Outcome, Record, digest
from eval.redaction import cleaned
from eval.scorers import Unscored
from rlm_dspy import Budget, ConfigurationError, ProviderError

# Errors that every example would end in: the run stops at the first.
MISCONFIGURED = (LMAuthError, LMBillingError, LMConfigurationError, LMUnsupportedModelError)
# An answer that is recorded is cut here, characters.
ANSWER_CHARS = 20_000


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Args:
        make: Makes the program, given `sub_lm` and `budget`.
        lm: The model that plans and answers.
        sub_lm: The sub-queries' model; None for the same.
        metrics: The task's metrics: an example whose metric is one of them is scored by all.
        seconds: How long an example may take.
        grace: How long a program that ends itself at that limit may take to do so, seconds.
    """

    make: Callable[..., dspy.Module]
    lm: Any
    sub_lm: Any = None
    metrics: tuple[str, ...] = ()
    seconds: float = 120.0
    grace: float = 5.0

    def cleaned(self, text: str) -> str:
        """A text as it may be recorded: without the models' keys."""
        return cleaned(text, (self.lm, self.sub_lm))


@dataclass
class _Trial:
    """One attempt, and what came of it."""

    account: Account
    calls: list[Any] = field(default_factory=list)
    prediction: Any = None
    error: BaseException | None = None
    seconds: float = 0.0
    bill: Bill = field(default_factory=Bill)


def attempt(subject: Subject, example: dspy.Example, purse: Purse, journal: Journal) -> Record:
    """Lets a program answer an example.

    Args:
        subject: The program.
        example: The example.
        purse: What pays.
        journal: What earlier attempts were answered.

    Returns:
        What became of it.

    Raises:
        ConfigurationError, ProviderError: Something is set up wrongly, so that no example can be
            answered.
    """
    left = max(subject.seconds - journal.seconds, 0.0)
    started = time.monotonic()
    trial = _Trial(Account(purse, until=started + left, journal=journal))
    future = _started(lambda: _run(subject, example, trial, left))
    if not wait([future], left + subject.grace).done:
        trial.error = TimeoutError("it did not end by itself at its limit")
    elif (error := future.exception()) is not None:
        trial.error = error
    else:
        trial.prediction = future.result()
    trial.seconds = journal.seconds + time.monotonic() - started
    trial.bill = trial.account.close()
    for trouble in (trial.error, *trial.account.troubles.values()):
        if isinstance(trouble, ConfigurationError):
            raise _without_keys(trouble, subject)
        if isinstance(trouble, MISCONFIGURED):
            # Not from its cause, whose text may show a key.
            raise ProviderError(subject.cleaned(str(trouble)), model=trouble.model)
    return _record(subject, example, trial)


def _without_keys(error: ConfigurationError, subject: Subject) -> ConfigurationError:
    text = str(error)
    safe = subject.cleaned(text)
    return error if safe == text else ConfigurationError(safe)


def _run(subject: Subject, example: dspy.Example, trial: _Trial, seconds: float) -> dspy.Prediction:
    account = trial.account
    sub_lm = None if subject.sub_lm is None else metered(subject.sub_lm, account)
    lm = metered(subject.lm, account)
    # dspy's history would keep every prompt of the run in memory.
    with dspy.context(lm=lm, trace=trial.calls, disable_history=True):
        program = subject.make(sub_lm=sub_lm, budget=Budget(seconds=seconds))
        return program(**example.inputs())


def _started(work: Callable[[], Any]) -> "Future[Any]":
    """Work in a thread of its own, which is left behind where it does not end."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed to who waits
            future.set_exception(error)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), daemon=True).start()
    return future


def _record(subject: Subject, example: dspy.Example, trial: _Trial) -> Record:
    outcome, error = _outcome(subject, trial, METRICS[example.metric].field)
    run = run_of(trial.prediction)
    scores: dict[str, float] = {}
    if outcome == "scored":
        scores, unscored = _scores(subject, example, trial.prediction)
        error = error or unscored
    return Record(
        id=example.id,
        context_id=example.context_id,
        group=example.group,
        length=example.length,
        digest=digest(example),
        outcome=outcome,
        scores=scores,
        answer=subject.cleaned(said(trial.prediction))[:ANSWER_CHARS],
        seconds=round(trial.seconds, 3),
        bill=trial.bill,
        status=run.status if run else "",
        reason=subject.cleaned(run.reason) if run else "",
        planned_by=run.planned_by if run else "",
        error=subject.cleaned(error),
        labels=label_counts(example, list(trial.calls)),
    )


def _outcome(subject: Subject, trial: _Trial, field: str) -> tuple[Outcome, str]:
    """What became of a trial, and why it has no answer; "" where it has one."""
    why = "" if trial.error is None else f"{type(trial.error).__name__}: {trial.error}"
    refused = trial.account.refused
    if refused == "dollars":
        return "budget", "the run's dollars were spent"
    ended_by = getattr(run_of(trial.prediction), "reason", "")
    if "seconds" in (refused, ended_by) or trial.seconds > subject.seconds:
        return "timeout", why or "it took too long"
    for trouble in trial.account.troubles.values():
        # A request that the provider does not take as it is (too long, not allowed) is the
        # program's own.
        if not isinstance(trouble, LMInvalidRequestError):
            return "infrastructure", f"{type(trouble).__name__}: {trouble}"
    if isinstance(trial.error, (CodeInterpreterError, OSError)):
        return "infrastructure", why
    why = why or _without_answer(trial.prediction, field)
    return ("failed" if why else "scored"), why


def _without_answer(prediction: Any, field: str) -> str:
    """Why a program that ended has no answer; "" where it has one, which may be an empty text."""
    if not isinstance(prediction, dspy.Prediction):
        return f"the program returned a {type(prediction).__name__} and no dspy.Prediction"
    run, silent = run_of(prediction), not said(prediction, field).strip()
    if silent and run is not None and run.status != "completed":
        return f"the run ended {run.status}: {run.reason}"
    return f"the prediction has no {field}" if getattr(prediction, field, None) is None else ""


def _scores(
    subject: Subject, example: dspy.Example, prediction: Any
) -> tuple[dict[str, float], str]:
    """The scores by metric, the example's own first; and why the first one is none."""
    own = example.metric
    names = [own, *(n for n in subject.metrics if n != own)] if own in subject.metrics else [own]
    scores = {name: METRICS[name](example, prediction) for name in names}
    first = scores[own]
    reason = f"{NO_SCORE}{first.reason}" if isinstance(first, Unscored) else ""
    return {name: float(score) for name, score in scores.items()}, reason
