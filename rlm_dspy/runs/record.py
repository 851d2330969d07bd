"""What was recorded of a run, as the run reads it when it runs again.

The code of the steps runs again; what models and tools said is answered from here. A request is
found by what it asks (its hash), within its run and in order where it was asked more than once, so
that the order in which concurrent calls ended does not matter.

Three ways to run again. *Replay*: all of it must happen as it did. *Resume*: it must, as far as the
record goes; then it goes on live. *Fork*: what was asked before is answered from here, whatever
else happens is new.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from rlm_dspy.errors import ReplayMismatch
from rlm_dspy.events import (
    Answered,
    CallFailed,
    Charged,
    Event,
    Executed,
    Extracted,
    Folded,
    LookedUp,
    Planned,
    RunEnded,
    RunResumed,
    RunStarted,
    Stopped,
    Submitted,
    SubQueryAnswered,
    SubQueryFailed,
    SubQueryStarted,
    ToolCalled,
)
from rlm_dspy.runs.endings import dead, end_of, leaves_open
from rlm_dspy.runs.identity import as_then, identity, place, said

Mode = Literal["replay", "resume", "fork"]
E = TypeVar("E", bound=Event)

_CHANGED = (
    "The inputs, the prompts or the code have changed since: fork it (`rlm fork`) to pay for what "
    "changed alone."
)
# Of these a run has one a step, or one at all.
_SINGLE = (RunStarted, Planned, Executed, Submitted, Extracted, Answered, LookedUp, RunEnded)
_OF_STEP = (SubQueryStarted, SubQueryAnswered, SubQueryFailed)


class Record:
    """A recorded run.

    Args:
        run: Its id.
        events: Its events, in order.
        outputs: What models said, as JSON, by the place of the `Charged` event among the events.
        mode: How it runs again.
        before: For a fork: the step from which on the planner is asked anew; None: as far as its
            prompts are the same.
        state: What the store says of it.

    Attributes:
        seconds: How long the run has taken so far.
    """

    def __init__(
        self,
        run: str,
        events: Sequence[Event],
        outputs: dict[int, str | None],
        mode: Mode,
        before: int | None = None,
        state: str = "",
    ):
        self.run = run
        self.state = state
        self.mode = mode
        self._again: dict[int, Event] = {}
        self.seconds = events[-1].at if events and mode != "fork" else 0.0
        self._all = tuple(events)
        self._outputs = outputs
        self._dead = dead(events)
        self._end = end_of(events, self._dead) if mode == "resume" else len(events)
        standing = [e for n, e in enumerate(events[: self._end]) if n not in self._dead]
        self._done = {(e.run, e.step) for e in standing if isinstance(e, Executed)}
        self._ended = {e.run for e in standing if isinstance(e, RunEnded)}
        self._adopted: set[int] = set()
        self._used: set[int] = set()
        self._waiting: dict[str, deque[int]] = defaultdict(deque)
        self._answers: dict[tuple[str, str], deque[tuple[int, ...]]] = defaultdict(deque)
        self._tools: dict[tuple[str, str], deque[int]] = defaultdict(deque)
        self._extractions: dict[str, deque[tuple[int, ...]]] = defaultdict(deque)
        self._stops: dict[str, Callable[[str], None]] = {}
        self._numbers = {id(event): number for number, event in enumerate(self._all)}
        self._singles: dict[tuple[type[Event], str, int], list[int]] = defaultdict(list)
        for number, event in enumerate(events[: self._end]):
            if number in self._dead or isinstance(event, RunResumed) or self._is_new(event):
                continue
            self._waiting[identity(event)].append(number)
            if isinstance(event, _SINGLE):
                self._singles[type(event), event.run, event.step].append(number)
        self._index(before)

    def _index(self, before: int | None) -> None:
        attempts: dict[tuple[str, str], list[int]] = defaultdict(list)
        for number, event in enumerate(self._all):
            if isinstance(event, ToolCalled):
                self._tools[event.run, event.request].append(number)
            if not isinstance(event, (Charged, CallFailed)) or number in self._dead:
                continue
            if self.mode == "resume" and number >= self._end and event.role == "extract":
                continue  # of an ending that is not one any more
            planning = event.role == "plan" and not event.run
            if self.mode == "fork" and before is not None and planning and event.step >= before:
                continue
            key = event.run, event.request
            attempts[key].append(number)
            if isinstance(event, Charged) and event.error:
                continue
            group = tuple(attempts.pop(key))
            if isinstance(event, CallFailed) and not self._is_final(event):
                continue
            self._answers[key].append(group)
            if event.role == "extract":
                self._extractions[event.run].append(group)

    def _is_final(self, event: CallFailed | SubQueryFailed) -> bool:
        """Whether a failure is part of what must happen again."""
        over = (event.run, event.step) in self._done or event.run in self._ended
        return self.mode == "replay" or (self.mode == "resume" and over)

    def _is_new(self, event: Event) -> bool:
        """Whether another event like this one is to be recorded as well.

        A run that is resumed asks a model only what the record does not answer: whatever comes of
        that was paid now, even where it fails just as it did then.
        """
        if self.mode != "resume":
            return False
        failed = isinstance(event, SubQueryFailed) and not self._is_final(event)
        return failed or isinstance(event, (Charged, CallFailed))

    @property
    def events(self) -> tuple[Event, ...]:
        """What has happened already, in order; nothing for a fork."""
        if self.mode == "fork":
            return ()
        return tuple(self._again.get(number, event) for number, event in enumerate(self._all))

    @property
    def is_strict(self) -> bool:
        """Whether all must happen as it did."""
        return self.mode == "replay"

    # Numbers.

    def _before(self) -> tuple[Event, ...]:
        return () if self.mode == "fork" else self._all

    def queries(self, run: str) -> int:
        """The highest number of a sub-query of a run."""
        started = (
            e.query for e in self._before() if isinstance(e, SubQueryStarted) and e.run == run
        )
        return max(started, default=0)

    def children(self, run: str) -> set[int]:
        """The numbers of a run's sub-runs."""
        inside = f"{run}." if run else ""
        names = {e.run for e in self._before() if isinstance(e, RunStarted) and e.run != run}
        own = [name.removeprefix(inside) for name in names if name.startswith(inside)]
        return {int(name) for name in own if "." not in name}

    def child_of(self, run: str, query: int) -> int | None:
        """The number of the sub-run that answered a sub-query; None where none did."""
        for event in self._before():
            if isinstance(event, RunStarted) and event.query == query and query:
                parent, _, number = event.run.rpartition(".")
                if parent == run and number:
                    return int(number)
        return None

    def seed(self, run: str) -> int | None:
        """What the random numbers of a run's REPL are drawn from."""
        found = (e.seed for e in self._all if isinstance(e, RunStarted) and e.run == run)
        return next(found, None)

    # What happened.

    def take(self, event: Event) -> Event | None:
        """The recorded event that this one is again; None for a new one.

        Raises:
            ReplayMismatch: Something else happened then.
        """
        if self.mode == "fork":
            return None
        numbers = self._waiting.get(identity(event))
        while numbers:
            number = numbers.popleft()
            if number not in self._used:
                self._used.add(number)
                self._again[number] = again = as_then(event, self._all[number])
                return again
        self._refuse(event)
        return None

    def _refuse(self, event: Event) -> None:
        if isinstance(event, _SINGLE):
            before = self._one(type(event), event.run, event.step)
            if before is not None:
                raise self._mismatch(event, before)
        over = (event.run, event.step) in self._done
        if isinstance(event, _OF_STEP) and over:
            raise self._mismatch(event, None)
        if self.is_strict and not self._stops_of(event.run):
            raise self._mismatch(event, None)

    def _one(self, kind: type[E], run: str, step: int) -> E | None:
        for number in self._singles.get((kind, run, step), ()):
            event = self._all[number]
            if number not in self._used and isinstance(event, kind):
                return event
        return None

    def _any(self, kind: type[Event], run: str) -> bool:
        return any(
            number not in self._used
            for (known, name, _), numbers in self._singles.items()
            if known is kind and name == run
            for number in numbers
        )

    def executed(self, run: str, step: int) -> Executed | None:
        """What the REPL gave for a step; None where the record does not say."""
        return None if self.mode == "fork" else self._one(Executed, run, step)

    def planned(self, run: str, step: int) -> Planned | None:
        """What the planner was taken to say in a step; None where the record does not say."""
        found = (e for e in self._all if isinstance(e, Planned) and (e.run, e.step) == (run, step))
        return next(found, None)

    def folded(self, run: str, step: int) -> Folded | None:
        """How a step's prompt was folded before it was sent; None where it was not."""
        found = (e for e in self._all if isinstance(e, Folded) and (e.run, e.step) == (run, step))
        return next((event for event in found if not event.refused), None)

    def extracted(self, run: str) -> bool:
        """Whether the last extraction is yet to answer."""
        return self._any(Extracted, run)

    def rolled_back(self, run: str, step: int) -> list[Event]:
        """All that happened in a step whose code need not run again, but for its end."""
        inside = [
            (number, event)
            for number, event in enumerate(self._all[: self._end])
            if number not in self._used and event.step == step and event.run == run
            and not isinstance(event, _SINGLE)
            and getattr(event, "role", "sub_query") == "sub_query"
        ]  # fmt: skip
        queries = {e.query for _, e in inside if isinstance(e, SubQueryStarted)}
        nested = {
            e.run for e in self._all if isinstance(e, RunStarted) and e.query in queries
            and e.run.rpartition(".")[0] == run and e.run
        }  # fmt: skip
        below = [
            (number, event)
            for number, event in enumerate(self._all[: self._end])
            if any(event.run == name or event.run.startswith(f"{name}.") for name in nested)
        ]
        numbers = sorted({number for number, _ in (*inside, *below)})
        self._used |= set(numbers)
        return [self._all[number] for number in numbers]

    def answer(self, run: str, request: str, role: str) -> tuple[list[Event], str | None] | None:
        """What came of a request: its attempts, and what was said.

        The last extraction is found without its hash: its prompt holds what had been found, in the
        order in which concurrent calls ended.

        Args:
            run: The run that asks.
            request: The request's hash.
            role: The predictor.
        """
        found = self._answers.get((run, request))
        if not found and role == "extract" and self.is_strict:
            found = self._extractions.get(run)
        while found:
            group = found.popleft()
            if not self._used.intersection(group):
                self._used |= set(group)
                return [self._all[number] for number in group], self._outputs.get(group[-1])
        return None

    def tool(self, run: str, request: str) -> ToolCalled | None:
        """What came of the call of a tool."""
        numbers = self._tools.get((run, request))
        while numbers:
            number = numbers.popleft()
            if number not in self._used:
                self._used.add(number)
                event = self._all[number]
                assert isinstance(event, ToolCalled)
                return event
        return None

    def refuse_new(self, what: str, run: str, step: int) -> None:
        """Refuses what the record would have to know.

        Args:
            what: What is asked for, in words.
            run: The run.
            step: The planner's step.

        Raises:
            ReplayMismatch: It does not.
        """
        planned = what == "plan" and self._one(Planned, run, step) is not None
        over = (run, step) in self._done and what != "extract"
        if self.mode == "fork" or not (self.is_strict or planned or over):
            return
        raise ReplayMismatch(
            f"The run {self.run} was recorded otherwise: in {place(run, step)} a {what} call is "
            f"asked for that its record does not hold. {_CHANGED}",
            run_id=self.run,
            step=step,
            event=what,
        )

    def charges(self) -> list[Charged]:
        """What was paid and is in no account yet, each once: before anything new is paid."""
        open_ = [
            number
            for number, event in enumerate(self._all)
            if isinstance(event, Charged) and number not in self._adopted
        ]
        self._adopted |= set(open_)
        return [event for n in open_ if isinstance(event := self._all[n], Charged)]

    def adopts(self, event: Charged) -> bool:
        """Whether an attempt is yet to be charged: it is, once."""
        number = self._numbers[id(event)]
        new = number not in self._adopted
        self._adopted.add(number)
        return new

    # How it ended.

    def _stops_of(self, run: str) -> list[Stopped]:
        """What ended a run early, or one that it is part of."""
        if not self.is_strict:
            return []
        return [
            event
            for number, event in enumerate(self._all)
            if isinstance(event, Stopped) and number not in self._dead
            if not event.run or f"{run}.".startswith(f"{event.run}.")
        ]

    def on_stop(self, run: str, stop: Callable[[str], None]) -> None:
        """Has a function called, with the reason, where the record says that the run was ended."""
        self._stops[run] = stop

    def end_early(self, run: str) -> bool:
        """Ends the run as it was ended; whether it was."""
        for event in self._stops_of(run):
            stop = self._stops.get(event.run)
            if stop is not None:
                stop(event.reason)
                return True
        return False

    def stopped_in(self, run: str) -> int | None:
        """The step in which a run was ended early."""
        return next((e.step for e in self._stops_of(run) if e.run == run), None)

    def is_used_up(self, run: str, step: int) -> bool:
        """Whether all that a step is known to have asked was asked again."""
        return not any(
            number not in self._used
            for number, event in enumerate(self._all)
            if isinstance(event, (Charged, ToolCalled)) and not getattr(event, "error", "")
            if event.run.startswith(run) and (event.run != run or event.step == step)
            if getattr(event, "role", "") != "extract"
        )

    def finish(self) -> None:
        """Checks that all happened again.

        Raises:
            ReplayMismatch: Something did not.
        """
        if not self.is_strict:
            return
        stopped = any(map(leaves_open, self._all))
        for number, event in enumerate(self._all):
            needed = _SINGLE if stopped else (*_SINGLE, *_OF_STEP, Charged, CallFailed, ToolCalled)
            if number not in self._used | self._dead and isinstance(event, needed):
                raise self._mismatch(None, event)

    def _mismatch(self, now: Event | None, before: Event | None) -> ReplayMismatch:
        event = before or now
        assert event is not None
        where = place(event.run, event.step)
        return ReplayMismatch(
            f"The run {self.run} was recorded otherwise, see {event.kind!r} in {where}: "
            f"recorded was {said(before)}, now it is {said(now)}. {_CHANGED}",
            run_id=self.run,
            step=event.step,
            event=event.kind,
        )
