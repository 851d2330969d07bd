"""Who asks a model next: every attempt of every run of this process enters here.

Promised: a tree of runs has no more attempts in flight than its budget says, a model no more than
its lane allows; among the runs that wait, sub-runs too, each starts one attempt in turn, however
many it has waiting; an attempt that is cancelled while it waits leaves no trace; of identical
requests that may be cached, one is made at a time, until one ends well.
"""

import asyncio
import contextlib
import math
import weakref
from collections import deque
from collections.abc import AsyncGenerator, Hashable
from dataclasses import dataclass, field

from rlm_dspy.queries.lanes import Lane, Started, Terms

# How many models are remembered, and how long one that nobody asks is, in seconds.
LANES, LANE_SECONDS = 64, 600.0


@dataclass(eq=False)
class Tree:
    """The attempts of one run and its sub-runs.

    Args:
        most: How many may be in flight.

    Attributes:
        running: How many are.
        reserved: How many of them hold a reservation.
        sub_queries: How many sub-queries were asked.
        freed: Set when a reservation was given back; then replaced.
    """

    most: int
    running: int = 0
    reserved: int = 0
    sub_queries: int = 0
    freed: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Wakes who waits for a reservation to be given back."""
        self.freed.set()
        self.freed = asyncio.Event()


@dataclass(frozen=True, eq=False)
class Visitor:
    """One run, as it waits in line.

    Args:
        tree: Its tree.
        terms: What the settings allow for each model.
    """

    tree: Tree
    terms: Terms


@dataclass(eq=False)
class Ticket:
    """An attempt that may go on, until it is given back."""

    tree: Tree
    lane: Lane
    started: Started


@dataclass(eq=False)
class _Flight:
    """A request that is being made.

    Attributes:
        ended: Set once it is over.
        well: Whether it was answered.
    """

    ended: asyncio.Event = field(default_factory=asyncio.Event)
    well: bool = False


@dataclass(eq=False)
class _Waiting:
    future: "asyncio.Future[Ticket]"
    tokens: float


class Traffic:
    """All attempts of one event loop."""

    def __init__(self):
        self._lanes: dict[Hashable, Lane] = {}
        # In the order of their turns: who has just started an attempt stands last.
        self._lines: dict[Visitor, dict[Lane, deque[_Waiting]]] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._flights: dict[str, _Flight] = {}

    @contextlib.asynccontextmanager
    async def flight(self, key: str) -> AsyncGenerator[bool]:
        """The block that makes a request, or that comes after the one which makes it now.

        Where that one ends with an error, one of those that waited for it is the next to make it.

        Args:
            key: The request's.

        Returns:
            Whether there was such a request, so that its answer may be in the cache by now.
        """
        was_made = False
        while (before := self._flights.get(key)) is not None:
            was_made = True
            await before.ended.wait()
            if before.well:
                yield True
                return
        flight = self._flights[key] = _Flight()
        try:
            yield was_made
            flight.well = True
        finally:
            del self._flights[key]
            flight.ended.set()

    def lane(self, key: Hashable) -> Lane:
        """The lane of a model."""
        if key not in self._lanes:
            if len(self._lanes) >= LANES:
                self._clear()
            self._lanes[key] = Lane()
        return self._lanes[key]

    async def enter(
        self, visitor: Visitor, lane: Lane, tokens: float, *, first: bool = False
    ) -> Ticket:
        """Waits for a turn.

        Args:
            visitor: The run that asks.
            lane: The model's.
            tokens: What the attempt may use, about.
            first: Whether to stand first among the run's own.

        Returns:
            The ticket; give it back by `leave`.
        """
        waiting = _Waiting(asyncio.get_running_loop().create_future(), tokens)
        line = self._lines.setdefault(visitor, {}).setdefault(lane, deque())
        (line.appendleft if first else line.append)(waiting)
        self._admit()
        try:
            return await waiting.future
        except asyncio.CancelledError:
            if waiting.future.done() and not waiting.future.cancelled():
                self.leave(waiting.future.result(), 0)  # admitted, and cancelled before it knew
            raise

    def leave(self, ticket: Ticket, used: float) -> None:
        """Ends an attempt.

        Args:
            ticket: What `enter` gave.
            used: The tokens that it used.
        """
        ticket.tree.running -= 1
        ticket.lane.end(ticket.started, used, _now())
        self._admit()

    def _admit(self) -> None:
        """Starts whoever may start, each run in its turn."""
        now, soonest, passed = _now(), math.inf, 0
        while passed < len(self._lines):
            visitor = next(iter(self._lines))
            line = self._lines.pop(visitor)
            started, wait = self._start_one(visitor, line, now)
            soonest = min(soonest, wait)
            passed = 0 if started else passed + 1
            if line:
                self._lines[visitor] = line
            elif not started:
                passed -= 1
        self._wake_in(soonest)

    def _start_one(
        self, visitor: Visitor, line: dict[Lane, deque[_Waiting]], now: float
    ) -> tuple[bool, float]:
        """Starts one attempt of a run, or says how long until one may start."""
        soonest = math.inf
        for lane, waiting in list(line.items()):
            while waiting and waiting[0].future.done():  # cancelled
                waiting.popleft()
            if not waiting:
                del line[lane]
                continue
            if visitor.tree.running >= visitor.tree.most:
                continue
            wait = lane.wait(visitor.terms, waiting[0].tokens, now)
            if wait > 0:
                soonest = min(soonest, wait)
                continue
            one = waiting.popleft()
            if not waiting:
                del line[lane]
            visitor.tree.running += 1
            one.future.set_result(Ticket(visitor.tree, lane, lane.start(one.tokens, now)))
            return True, math.inf
        return False, soonest

    def _wake_in(self, seconds: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if seconds < math.inf:
            self._alarm = asyncio.get_running_loop().call_later(seconds, self._admit)

    def _clear(self) -> None:
        """Forgets the lanes that nobody uses."""
        old = _now() - LANE_SECONDS
        for key, lane in list(self._lanes.items()):
            if lane.is_clear or (lane.running == 0 and lane.used_at < old):
                del self._lanes[key]


def _now() -> float:
    return asyncio.get_running_loop().time()


_of_loop: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Traffic]" = (
    weakref.WeakKeyDictionary()
)


def traffic() -> Traffic:
    """The traffic of the running loop."""
    loop = asyncio.get_running_loop()
    if loop not in _of_loop:
        _of_loop[loop] = Traffic()
    return _of_loop[loop]
