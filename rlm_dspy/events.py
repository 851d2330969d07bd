"""What happens in a run, as frozen, typed events, and the log that they are appended to.

A run is its events: the trajectory, the live view, the usage and the JSON output are read from
them. The flow uses only what an event holds, never what produced it, so that a record can stand in
for the models and the REPL.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

PlannedBy = Literal["model", "recipe", "direct", "phase0"]
Status = Literal["completed", "partial", "failed"]


class Event(BaseModel):
    """Base of all events.

    Args:
        at: Seconds since the run started; set by the log.
        step: The step of the planner that it belongs to, from 1; 0 before the first.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    kind: str = ""
    at: float = 0.0
    step: int = 0


class RunStarted(Event):
    """A run began."""

    kind: Literal["run_started"] = "run_started"
    signature: str
    inputs: dict[str, str]
    model: str
    sub_model: str
    planned_by: PlannedBy


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
    """

    kind: Literal["executed"] = "executed"
    output: str
    outcome: Literal["ok", "error", "submit"] = "ok"
    submitted: dict[str, Any] | None = None
    seconds: float = 0.0


class SubQueryStarted(Event):
    """A sub-query was handed to the scheduler.

    Args:
        query: Its number in the run, from 1.
        operator: "llm_query", "ask", "ask_each", "keep" or "combine".
        question: The question.
        characters: Length of the text it reads.
    """

    kind: Literal["sub_query_started"] = "sub_query_started"
    query: int
    operator: str
    question: str
    characters: int


class SubQueryAnswered(Event):
    """A sub-query was answered.

    Args:
        query: Its number in the run, from 1.
        value: The typed answer.
        seconds: How long it took.
    """

    kind: Literal["sub_query_answered"] = "sub_query_answered"
    query: int
    value: Any
    seconds: float = 0.0


class SubQueryFailed(Event):
    """A sub-query was not answered.

    Args:
        query: Its number in the run, from 1.
        error: The class name of the error.
        reason: The error's message.
    """

    kind: Literal["sub_query_failed"] = "sub_query_failed"
    query: int
    error: str
    reason: str


class Charged(Event):
    """One attempt at a model ended.

    Args:
        role: The predictor: "plan", "sub_query", "extract" or "direct".
        model: The model's name.
        prompt_tokens: Tokens of the prompt.
        completion_tokens: Tokens of the reply.
        cached_tokens: Prompt tokens that the provider's prompt cache answered.
        dollars: What it cost, in US dollars.
        cache_hit: dspy's cache answered: nothing was charged.
        estimated: The model reported no usage: the counts are upper bounds.
        error: The class name of the error that ended the attempt; empty when it succeeded.
    """

    kind: Literal["charged"] = "charged"
    role: str
    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
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
    """

    kind: Literal["submitted"] = "submitted"
    accepted: bool
    outputs: dict[str, Any] | None = None
    error: str = ""


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
    """The input fitted and was answered by one direct call."""

    kind: Literal["answered"] = "answered"
    outputs: dict[str, Any]


class RunEnded(Event):
    """A run ended."""

    kind: Literal["run_ended"] = "run_ended"
    status: Status
    reason: str
    spend: dict[str, Any]


E = TypeVar("E", bound=Event)


class EventLog:
    """The events of one run, in order, in memory.

    Args:
        listeners: Called with each event as it is appended, in the run's thread: be quick.
    """

    def __init__(self, listeners: tuple[Callable[[Event], None], ...] = ()):
        self.id = uuid.uuid4().hex[:12]
        self.step = 0
        self._started = time.monotonic()
        self._events: list[Event] = []
        self._listeners = listeners

    def append(self, event: E) -> E:
        """Stamps the event with its time and step and appends it.

        Returns:
            The stamped event.
        """
        at = round(time.monotonic() - self._started, 6)
        stamped = event.model_copy(update={"at": at, "step": event.step or self.step})
        self._events.append(stamped)
        for listener in self._listeners:
            listener(stamped)
        return stamped

    def of(self, kind: type[E]) -> list[E]:
        """All events of one type, in order."""
        return [event for event in self._events if isinstance(event, kind)]

    def __iter__(self) -> Iterator[Event]:
        return iter(list(self._events))

    def __len__(self) -> int:
        return len(self._events)
