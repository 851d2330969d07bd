"""What happens in a run, as frozen, typed events, and the log that they are appended to.

A run is its events: the trajectory, the live view, the usage and the JSON output are read from
them. The flow uses only what an event holds, never what produced it, so that a record can stand in
for the models and the REPL.
"""

import copy
import itertools
import time
import uuid
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from rlm_dspy.citations import Citation
from rlm_dspy.coverage import Range

PlannedBy = Literal["model", "recipe", "direct", "phase0"]
Status = Literal["completed", "partial", "failed"]

# The sub-query that is being answered, by its number in its run; 0 where none is.
ANSWERING: ContextVar[int] = ContextVar("ANSWERING", default=0)


class Event(BaseModel):
    """Base of all events.

    Args:
        at: Seconds since the run started; set by the log.
        step: The step of the planner that it belongs to, from 1; 0 before the first.
        run: The sub-run that it belongs to, as "2" or, for the third one within that, "2.3"; empty
            for the run itself. Set by the log.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    kind: str = ""
    at: float = 0.0
    step: int = 0
    run: str = ""


class RunStarted(Event):
    """A run began.

    Args:
        signature: Its inputs and outputs.
        inputs: The inputs' types, by name.
        model: The model that plans.
        sub_model: The model that answers sub-queries.
        planned_by: What plans.
        limits: The limits that are set, by their names in `Budget`; none for a sub-run, which
            spends its parent's account.
        query: The sub-query of its parent that a sub-run answers; 0 for the run itself.
        documents: The title and the length, in characters, of each document of its contexts.
        printed: What of the documents the planner is shown before the first step: each range is
            (document from 0, start, end), in characters of the document's text.
    """

    kind: Literal["run_started"] = "run_started"
    signature: str
    inputs: dict[str, str]
    model: str
    sub_model: str
    planned_by: PlannedBy
    limits: dict[str, float] = {}
    query: int = 0
    documents: tuple[tuple[str, int], ...] = ()
    printed: tuple[Range, ...] = ()


class Planned(Event):
    """The planner, or a recipe, said what to run next.

    Args:
        reasoning: What the planner said beside the code.
        code: The code; empty where the reply held none.
        seconds: How long the planner took.
    """

    kind: Literal["planned"] = "planned"
    reasoning: str
    code: str
    seconds: float = 0.0


class Executed(Event):
    """The REPL ran the code of a step.

    Args:
        output: What it printed, or the error, as the planner is shown it.
        outcome: "ok", "error" (the planner is told) or "submit".
        submitted: What `SUBMIT` was given, by output field.
        seconds: How long it ran.
        printed: What of the documents the output shows the planner, as ranges.
        matched: What searches found, as the REPL says it; whether anybody read it is not said.
    """

    kind: Literal["executed"] = "executed"
    output: str
    outcome: Literal["ok", "error", "submit"] = "ok"
    submitted: dict[str, Any] | None = None
    seconds: float = 0.0
    printed: tuple[Range, ...] = ()
    matched: tuple[Range, ...] = ()


class SubQueryStarted(Event):
    """A sub-query was handed to the scheduler.

    Args:
        query: Its number in the run, from 1.
        operator: "llm_query", "ask", "ask_each", "keep" or "combine".
        question: The question.
        characters: Length of the question and of the text it reads.
        items: How many items share the call.
    """

    kind: Literal["sub_query_started"] = "sub_query_started"
    query: int
    operator: str
    question: str
    characters: int
    items: int = 1


class SubQueryAnswered(Event):
    """A sub-query was answered.

    Args:
        query: Its number in the run, from 1.
        value: The typed answer; of a call with several items, the list of their answers.
        missing: The items without an answer in this call, by position from 0, each with the reason.
        seconds: How long it took.
        sent: What of the documents its model read, as ranges.
    """

    kind: Literal["sub_query_answered"] = "sub_query_answered"
    query: int
    value: Any
    missing: dict[int, str] = {}
    seconds: float = 0.0
    sent: tuple[Range, ...] = ()


class SubQueryFailed(Event):
    """A sub-query was not answered.

    Args:
        query: Its number in the run, from 1.
        error: The class name of the error.
        reason: The error's message.
        too_much: The provider refused what was in the request, so that a part of it may pass.
        sent: What of the documents its model read, as ranges.
    """

    kind: Literal["sub_query_failed"] = "sub_query_failed"
    query: int
    error: str
    reason: str
    too_much: bool = False
    sent: tuple[Range, ...] = ()


class Charged(Event):
    """One attempt at a model ended.

    Args:
        role: The predictor: "plan", "sub_query", "extract" or "direct".
        model: The model's name.
        query: The sub-query that it was made for, by its number in the run; 0 for none.
        prompt_tokens: Tokens of the prompt.
        completion_tokens: Tokens of the reply, reasoning included.
        reasoning_tokens: Tokens of reasoning.
        cached_tokens: Prompt tokens that the provider's prompt cache answered.
        dollars: What it cost, in US dollars.
        cache_hit: dspy's cache answered: nothing was charged.
        estimated: The model reported no usage, as where an attempt was broken off: the counts are
            upper bounds.
        error: The class name of the error that ended the attempt; empty when it succeeded.
    """

    kind: Literal["charged"] = "charged"
    role: str
    model: str
    query: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    dollars: float = 0.0
    cache_hit: bool = False
    estimated: bool = False
    error: str = ""


class Submitted(Event):
    """An answer was checked against the outer signature.

    Args:
        accepted: Whether every output fits its type.
        outputs: The typed outputs, where accepted.
        error: What does not fit, as the planner is told.
        unread: Whether it fits and was not accepted, since too little of the text was read.
    """

    kind: Literal["submitted"] = "submitted"
    accepted: bool
    outputs: dict[str, Any] | None = None
    error: str = ""
    unread: bool = False


class Extracted(Event):
    """The last extraction answered from what was found.

    Args:
        outputs: The typed outputs; None for each that could not be had.
        reason: Why it was needed.
        error: Why it failed; empty when it did not.
    """

    kind: Literal["extracted"] = "extracted"
    outputs: dict[str, Any]
    reason: str
    error: str = ""


class Answered(Event):
    """The input fitted and was answered by one direct call.

    Args:
        outputs: The typed outputs.
        printed: What of the documents the model was shown, as ranges: all of them.
    """

    kind: Literal["answered"] = "answered"
    outputs: dict[str, Any]
    printed: tuple[Range, ...] = ()


class LookedUp(Event):
    """The answer was found in the text, without a model.

    Args:
        outputs: The typed outputs.
        found: Where each of them stands, by output field.
    """

    kind: Literal["looked_up"] = "looked_up"
    outputs: dict[str, Any]
    found: dict[str, Citation]


class RunEnded(Event):
    """A run ended."""

    kind: Literal["run_ended"] = "run_ended"
    status: Status
    reason: str
    spend: dict[str, Any]


E = TypeVar("E", bound=Event)


class EventLog:
    """The events of one run and its sub-runs, in order, in memory.

    Args:
        listeners: Called with each event as it is appended, in the run's thread: be quick.
    """

    def __init__(self, listeners: tuple[Callable[[Event], None], ...] = ()):
        self.id = uuid.uuid4().hex[:12]
        self.run = ""
        self.step = 0
        self._started = time.monotonic()
        self._events: list[Event] = []
        self._listeners = listeners
        self._children = itertools.count(1)

    def child(self) -> "EventLog":
        """The log of a sub-run: its events are among this one's, under the sub-run's number."""
        child = copy.copy(self)
        number = str(next(self._children))
        child.run = f"{self.run}.{number}" if self.run else number
        child.step = 0
        child._children = itertools.count(1)
        return child

    def append(self, event: E) -> E:
        """Stamps the event with its time and step and appends it.

        Returns:
            The stamped event.
        """
        at = round(time.monotonic() - self._started, 6)
        told = {"at": at, "step": event.step or self.step, "run": self.run}
        stamped = event.model_copy(update=told)
        self._events.append(stamped)
        for listener in self._listeners:
            listener(stamped)
        return stamped

    def of(self, kind: type[E]) -> list[E]:
        """This run's own events of one type, in order."""
        return [e for e in self._events if isinstance(e, kind) and e.run == self.run]

    def __iter__(self) -> Iterator[Event]:
        return iter(list(self._events))

    def __len__(self) -> int:
        return len(self._events)
