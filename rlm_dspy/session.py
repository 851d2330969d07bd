"""Many questions, one REPL: `rlm.session(context=…)`.

Each question is a run of its own, with its own budget and record. What its code defined stays for
the next one, and the planner is told what was asked and answered before. Promised: a question that
fails or is broken off leaves nothing behind (where the platform has snapshots); one that ends with
a partial answer stays. A session that is opened again has the same REPL: the recorded code runs
again, with recorded answers, and nothing is paid twice.
"""

import asyncio
import contextlib
import functools
import threading
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any

import dspy

from rlm_dspy.allowance import Allowance
from rlm_dspy.budget import Budget
from rlm_dspy.earlier import earlier
from rlm_dspy.errors import ConfigurationError
from rlm_dspy.events import Event
from rlm_dspy.inputs import as_input
from rlm_dspy.kept_repl import KeptRepl
from rlm_dspy.question import Answer, Question
from rlm_dspy.recording import store_of
from rlm_dspy.reopening import Past, Values, link_of
from rlm_dspy.runs.record import Mode
from rlm_dspy.runs.stored import Stored
from rlm_dspy.starting import RunHandle
from rlm_dspy.stepping import Stepping
from rlm_dspy.task import Task

Listener = Callable[[Event], None]


class Session:
    """One REPL for many questions; made by `RLM.session`.

    One question at a time. Close it, or use it in a `with` block.

    Args:
        rlm: The module that answers.
        inputs: The inputs that all questions share.
        resume: The id, or its beginning, of a recorded session to go on with; "" for the one that
            was asked last; None for a new one.
        budget: The limits of all questions together; each has the module's own beside.
        notes: What the record of each question is to know beside, as JSON takes it.
        before: Only the questions before this one are made again, by its number.

    Attributes:
        id: Twelve hexadecimal digits.
        answers: The questions so far, with what was returned.
        unfinished: What was asked when the session's process died; None where nothing was.

    Raises:
        ConfigurationError: An input is unknown.
        StoreError: There is no such session, or it is not recorded as a whole.
        ReplayMismatch: The module is another one than it was.
    """

    def __init__(
        self,
        rlm: Any,
        inputs: Mapping[str, Any],
        *,
        resume: str | None = None,
        budget: Budget | None = None,
        notes: Mapping[str, Any] | None = None,
        before: int | None = None,
    ):
        self._rlm = rlm
        self._notes = dict(notes or {})
        self._check(inputs)
        above = rlm.options.context_above_chars
        self._inputs = {name: as_input(name, v, above) for name, v in inputs.items()}
        # Guards the next three. It is never held while a question begins: a listener that asks
        # would have to wait for it in the run's thread.
        self._lock = threading.Condition()
        self._beginner: int | None = None
        self._open: Question | None = None
        self._closed = False
        self._unfinished: Stored | None = None
        self.answers: list[Answer] = []
        self._values = Values(self._inputs)
        past = None
        if resume is not None and before != 1:
            past = Past(store_of(rlm.options.store), resume or None, before)
        self.id = past.id if past else resume or uuid.uuid4().hex[:12]
        self._repl = KeptRepl(self.id)
        link = link_of(past.newest) if past else None
        limits = Budget(**(link or {}).get("budget", {})) if budget is None else budget
        self._allowance = Allowance(limits)
        if past is not None:
            self._make_again(past)

    def _check(self, inputs: Mapping[str, Any]) -> None:
        known = list(self._rlm.signature.input_fields)
        if unknown := sorted(set(inputs) - set(known)):
            raise ConfigurationError(
                f"A session has no inputs {unknown}: the signature declares {known}."
            )

    # Asking.

    def ask(
        self, question: Any = None, *, listeners: tuple[Listener, ...] = (), **inputs: Any
    ) -> dspy.Prediction:
        """Asks, and blocks until there is an answer.

        Args:
            question: The one input that the session does not hold, such as `query`.
            listeners: Called with each event as it happens, in the run's thread.
            **inputs: Inputs by name; one that the session holds is another one for this question.

        Returns:
            What `RLM.forward` returns.

        Raises:
            ConfigurationError: An input is missing or unknown, or a question is under way.
            BudgetExceeded: Nothing is left of a limit of the session.
            RLMError: The machinery failed; the session is as it was before the question.
        """
        return self.start(question, listeners=listeners, **inputs).result()

    async def aask(
        self, question: Any = None, *, listeners: tuple[Listener, ...] = (), **inputs: Any
    ) -> dspy.Prediction:
        """`ask` for asynchronous code; cancelling it ends the question and undoes it."""
        begin = functools.partial(self.start, question, listeners=listeners, **inputs)
        beginning = asyncio.ensure_future(asyncio.to_thread(begin))
        try:
            begun = await asyncio.shield(beginning)
        except asyncio.CancelledError:
            await asyncio.wait({beginning})
            if beginning.exception() is None:
                beginning.result().cancel()
                await asyncio.to_thread(beginning.result().settle)
            raise
        return await begun.wait()

    def start(
        self,
        question: Any = None,
        *,
        listeners: tuple[Listener, ...] = (),
        review: Any = None,
        **inputs: Any,
    ) -> Question:
        """Starts a question without waiting for it; see `ask`.

        Args:
            question: As `ask` takes it.
            listeners: The same.
            review: As `Task.review`.
            **inputs: As `ask` takes them.
        """
        with self._beginning():
            given, text = self._given(question, inputs)
            if self._unfinished is not None:
                self._count(self._unfinished)
                self._unfinished = None
            adapt = functools.partial(self._next, review=review)
            launch = functools.partial(self._rlm.launch, given, adapt=adapt)
            return self._begin(text, launch, listeners)

    def step(self, question: Any = None, **inputs: Any) -> Stepping:
        """Starts a question that stops before each step, for notebooks and debuggers.

        Args:
            question: As `ask` takes it.
            **inputs: The same.

        Returns:
            The question, at its first step: the planner's code is there and has not run.
        """
        return Stepping(functools.partial(self.start, question, **inputs), self.vars)

    def finish(self, *, listeners: tuple[Listener, ...] = ()) -> Question:
        """Goes on with the question that was under way when the session's process died.

        Args:
            listeners: As `ask` takes them.

        Raises:
            ConfigurationError: There is none.
        """
        with self._beginning():
            stored = self._unfinished
            if stored is None:
                raise ConfigurationError("This session has no unfinished question.")
            self._unfinished = None
            again = self.again(stored, "resume", {})
            return self._begin(stored.row.question, again, listeners)

    @property
    def unfinished(self) -> str | None:
        """What was asked when the session's process died."""
        return None if self._unfinished is None else self._unfinished.row.question

    # Looking.

    def vars(self) -> dict[str, str]:
        """What is defined in the REPL: by name the type, and the size or the value."""
        return self._repl.variables()

    def look(self, code: str) -> str:
        """Runs code in a copy of the REPL, without tools or models, and gives what it printed.

        Args:
            code: Python, such as the name of a variable.

        Raises:
            CodeFailed: The code failed.
            InterpreterError: This platform has no copies, or nothing ran yet.
        """
        return self._repl.look(code)

    @property
    def spent(self) -> dict[str, float]:
        """What all questions spent so far, failed ones too, by the names of the limits."""
        return dict(self._allowance.spent)

    # Its life.

    def close(self) -> None:
        """Ends the session and its REPL; it can be opened again from its record."""
        with self._lock:
            self._closed = True
            # One that begins in this very thread, as when a signal comes, cannot be waited for.
            self._lock.wait_for(lambda: self._beginner in (None, threading.get_ident()))
            question = self._open
        if question is not None and not question.done():
            question.cancel()
            question.settle()
        with self._lock:
            self._repl.close()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _beginning(self) -> Generator[None]:
        """The block that begins a question; of several at once, one gets in."""
        with self._lock:
            self._refuse_if_busy()
            self._beginner = threading.get_ident()
        try:
            yield
        finally:
            with self._lock:
                self._beginner = None
                self._lock.notify_all()

    def _refuse_if_busy(self) -> None:
        if self._closed:
            raise ConfigurationError(
                f"The session {self.id} is closed: open it again by resume={self.id!r}."
            )
        if self._beginner is not None or (self._open is not None and not self._open.done()):
            asked = "" if self._open is None else f": {self._open.text!r}"
            raise ConfigurationError(
                "A session answers one question at a time, and one is under way"
                f"{asked}. Wait for it, or stop it."
            )
        if self._open is not None:
            self._open.settle()

    def _given(self, question: Any, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
        self._check(inputs)
        free = [n for n in self._rlm.signature.input_fields if n not in {*self._inputs, *inputs}]
        asked = dict(inputs)
        if question is not None:
            if len(free) != 1:
                raise ConfigurationError(
                    f"Which input is {question!r}? {free or 'None'} is left: give inputs by name."
                )
            asked[free[0]] = question
        above = self._rlm.options.context_above_chars
        own = {name: as_input(name, value, above) for name, value in asked.items()}
        text = str(question) if question is not None else _named(own)
        return {**self._inputs, **own}, text

    def _begin(
        self, text: str, start: Callable[..., RunHandle], listeners: tuple[Listener, ...]
    ) -> Question:
        self._allowance.begin()
        self._repl.hold()
        try:
            handle = start(listeners=(*listeners, self._allowance.listen))
        except BaseException:
            self._repl.let_go()
            raise
        self._open = Question(text, handle, self._settle)
        return self._open

    def _settle(self, question: Question, handle: RunHandle) -> None:
        """Keeps what a question did in the REPL, or undoes it; it has ended."""
        with self._lock:
            if self._open is not question:
                return
            self._open = None
            try:
                self.answers.append(Answer(question.text, handle.result()))
            except Exception:  # noqa: BLE001 - whoever waits for the question is told
                self._repl.take_back()
            else:
                self._repl.let_go()

    def _next(self, task: Task, review: Any) -> Task:
        """The task of the next question."""
        budget = self._allowance.share(task.budget)
        if review is not None:  # whoever looks takes their time
            budget = replace(budget, seconds=None)
        link = {
            "id": self.id,
            "number": len(self.answers) + 1,
            "budget": self._allowance.budget.limits,
            "shared": sorted(self._inputs),
        }
        asked = [(text, self._outputs(result)) for text, result in self.answers]
        inputs = {*self._rlm.signature.input_fields, "P"}
        return replace(
            self._in_repl(task),
            budget=budget,
            steps=task.steps if budget.steps is None else min(task.steps, budget.steps),
            review=review,
            earlier=earlier(asked, self.vars() if asked else {}, inputs),
            notes={**task.notes, **self._notes, "session": link},
        )

    def _in_repl(self, task: Task) -> Task:
        options = task.options.model_copy(update={"route": "rlm"})
        return replace(task, repl=self._repl.lent_to(task), options=options)

    def _outputs(self, result: dspy.Prediction) -> dict[str, Any]:
        return {name: result.get(name) for name in self._rlm.signature.output_fields}

    # Making it again.

    def _make_again(self, past: Past) -> None:
        link = link_of(past.newest) or {}
        try:
            for stored in past.questions:
                result = self.again(stored, "replay", {})().result()
                self.answers.append(Answer(stored.row.question, result))
            last = self._values.of(past.newest)
        except BaseException:
            self._repl.close()
            raise
        self._inputs = {n: last[n] for n in link.get("shared", ()) if n in last} | self._inputs
        for stored in (*past.questions, *past.others):
            self._count(stored)
        self._unfinished = past.unfinished

    def _count(self, stored: Stored) -> None:
        self._allowance.begin()
        for event in stored.events:
            self._allowance.listen(event)

    def again(
        self, stored: Stored, mode: Mode, given: Mapping[str, Any], at: int | None = None
    ) -> Callable[..., RunHandle]:
        """What starts a recorded question again in this session's REPL.

        Args:
            stored: Its run.
            mode: How.
            given: Inputs in place of the recorded ones.
            at: For a fork, as `RLM.fork` takes it.
        """

        def adapt(task: Task) -> Task:
            link = {**(link_of(stored) or {}), **({"fork": True} if mode == "fork" else {})}
            notes = {**stored.about["notes"], "session": link}
            return replace(self._in_repl(task), notes=notes, steps=stored.about["steps"])

        inputs = {**self._values.of(stored), **given}
        again = self._rlm.start_again
        return functools.partial(again, stored, mode, inputs, at=at, adapt=adapt)


def _named(inputs: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={str(value)[:200]}" for name, value in inputs.items())
