"""The log of one run: its events in order, on their way to the record and to who listens."""

import copy
import itertools
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from rlm_dspy.errors import ReplayMismatch, RLMError, StoreError
from rlm_dspy.events import ANSWERING, Event, SubQueryStarted
from rlm_dspy.exchange import Exchange

E = TypeVar("E", bound=Event)
F = TypeVar("F", bound=RLMError)


class Recorder(Protocol):
    """Keeps events."""

    def append(self, event: Event, exchange: Exchange | None) -> None:
        """Keeps an event.

        Raises:
            StoreError: It cannot be kept.
        """
        ...

    async def settled(self) -> None:
        """Returns when all so far is safe.

        Raises:
            StoreError: It cannot be kept.
        """
        ...


@dataclass
class _Tree:
    """What the logs of a tree of runs share."""

    listeners: tuple[Callable[[Event], None], ...]
    recorder: Recorder | None
    started: float
    events: list[Event] = field(default_factory=list)
    new: list[Event] = field(default_factory=list)
    failure: RLMError | None = None
    failed: Callable[[], None] | None = None


class EventLog:
    """The events of one run and its sub-runs, in order, in memory.

    Args:
        listeners: Called with each event as it is appended, in the run's thread: be quick.
        id: The run's; None for a new one.
        record: What was recorded of the run before: its events are taken from there as they happen
            again, with the times they had.
    """

    def __init__(
        self,
        listeners: tuple[Callable[[Event], None], ...] = (),
        *,
        id: str | None = None,  # noqa: A002 - as `Run.id`
        record: Any = None,
    ):
        self.id = id or uuid.uuid4().hex[:12]
        self.run = ""
        self.step = 0
        self.record = record
        before = record.seconds if record is not None else 0.0
        self._tree = _Tree(listeners, None, time.monotonic() - before)
        self._children: Iterator[int] = itertools.count(1)
        self._queries: Iterator[int] = self._numbers()

    def keep_in(self, recorder: Recorder | None) -> None:
        """Has a recorder keep each event from now on; None: nobody does."""
        self._tree.recorder = recorder

    @property
    def is_recorded(self) -> bool:
        """Whether somebody keeps the events, or kept them before."""
        return self._tree.recorder is not None or self.record is not None

    @property
    def failure(self) -> RLMError | None:
        """Why the run cannot go on: an event could not be kept, or is another one than recorded."""
        return self._tree.failure

    def when_failed(self, callback: Callable[[], None]) -> None:
        """Has a function called when the run cannot go on, in the run's thread."""
        if not self.run:  # it ends its sub-runs too
            self._tree.failed = callback

    def child(self) -> "EventLog":
        """The log of a sub-run: its events are among this one's, under the sub-run's number."""
        child = copy.copy(self)
        number = self.record.child_of(self.run, ANSWERING.get()) if self.record else None
        if number is None:
            taken = self.record.children(self.run) if self.record else ()
            number = next(n for n in self._children if n not in taken)
        child.run = f"{self.run}.{number}" if self.run else str(number)
        child.step = 0
        child._children = itertools.count(1)
        child._queries = child._numbers()
        return child

    def append(self, event: E, exchange: Exchange | None = None) -> E:
        """Stamps the event with its time and step, keeps it and appends it.

        Args:
            event: What happened.
            exchange: The request and the reply that it is about.

        Returns:
            The stamped event; the recorded one where it happened before.

        Raises:
            StoreError: It cannot be kept.
            ReplayMismatch: The record says that something else happened.
        """
        at = round(time.monotonic() - self._tree.started, 6)
        told: dict[str, Any] = {"at": at, "step": event.step or self.step, "run": self.run}
        stamped = event.model_copy(update=told)
        if self.record is not None and self._tree.failure is None:
            try:
                known = self.record.take(stamped)
            except ReplayMismatch as error:
                raise self.fail(error) from None
            if known is not None:
                return self._note(known)
        if isinstance(stamped, SubQueryStarted) and not stamped.query:
            stamped = stamped.model_copy(update={"query": next(self._queries)})
        self._keep(stamped, exchange)
        self._tree.new.append(stamped)
        return self._note(stamped)

    async def settled(self) -> None:
        """Returns when all events so far are safe: before what a model or a tool said is used.

        Raises:
            StoreError: They cannot be kept.
        """
        tree = self._tree
        if tree.recorder is None or tree.failure is not None:
            return
        try:
            await tree.recorder.settled()
        except StoreError as error:
            raise self.fail(error) from error.__cause__

    def again(self, event: E) -> E:
        """Appends an event that the record has already, as it stands there."""
        return self._note(event)

    def check(self, what: str) -> None:
        """Refuses what the record would have to know, as `Record.refuse_new` does.

        Raises:
            ReplayMismatch: It does not.
        """
        try:
            self.record.refuse_new(what, self.run, self.step)
        except ReplayMismatch as error:
            raise self.fail(error) from None

    def fail(self, error: F) -> F:
        """Ends the run: code in the REPL may catch what it is told, and must not go on."""
        self._tree.failure = self._tree.failure or error
        if self._tree.failed is not None:
            self._tree.failed()
        return error

    def of(self, kind: type[E]) -> list[E]:
        """This run's own events of one type, in order."""
        return [e for e in self._tree.events if isinstance(e, kind) and e.run == self.run]

    def whole(self) -> tuple[Event, ...]:
        """All events, in the order in which they happened first."""
        before: Iterable[Event] = self.record.events if self.record is not None else ()
        return (*before, *self._tree.new)

    def __iter__(self) -> Iterator[Event]:
        return iter(list(self._tree.events))

    def __len__(self) -> int:
        return len(self._tree.events)

    def _numbers(self) -> Iterator[int]:
        first = self.record.queries(self.run) if self.record is not None else 0
        return itertools.count(first + 1)

    def _note(self, event: E) -> E:
        self._tree.events.append(event)
        for listener in self._tree.listeners:
            listener(event)
        return event

    def _keep(self, event: Event, exchange: Exchange | None) -> None:
        tree = self._tree
        if tree.recorder is None or tree.failure is not None:
            return
        try:
            tree.recorder.append(event, exchange)
        except StoreError as error:
            raise self.fail(error) from error.__cause__
