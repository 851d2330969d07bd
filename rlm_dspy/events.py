"""What happens in a run, as frozen, typed events.

A run is its events: the trajectory, the live view, the usage and the JSON output are read from
them. The flow uses only what an event holds, never what produced it, so that a record can stand in
for the models and the REPL. `docs/events.schema.json` has the schema.
"""

import functools
import json
from contextvars import ContextVar
from typing import Annotated, Any, Literal, Union, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from rlm_dspy.citations import Citation
from rlm_dspy.coverage import Range
from rlm_dspy.plain_json import with_text_keys

# Grows when an event changes; what an older version wrote stays readable.
VERSION = 1

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

    model_config = ConfigDict(
        frozen=True,
        arbitrary_types_allowed=True,
        ser_json_bytes="base64",
        ser_json_inf_nan="constants",
    )

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
        seed: What the REPL draws its random numbers from.
        version: The version of the events of this run.
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
    seed: int = 0
    version: int = VERSION


class Planned(Event):
    """The planner, or a recipe, said what to run next.

    Args:
        reasoning: What the planner said beside the code.
        code: The code; empty where the reply held none.
        seconds: How long the planner took.
        clock: What the REPL's clocks show when the code begins, seconds since 1970.
        said: The planner's own code, where somebody edited it before it ran.
    """

    kind: Literal["planned"] = "planned"
    reasoning: str
    code: str
    seconds: float = 0.0
    clock: float = 0.0
    said: str | None = None


class Folded(Event):
    """Old outputs were folded, so that the planner's next prompt fits its window.

    Args:
        turns: Of how many of the oldest turns the planner is now shown a note in place of the
            output.
        shown: How many characters of the newest output it is shown; None: all.
        characters: How much shorter that made the prompt.
        refused: The provider had refused the longer prompt.
    """

    kind: Literal["folded"] = "folded"
    turns: int
    shown: int | None = None
    characters: int = 0
    refused: bool = False


class Executed(Event):
    """The REPL ran the code of a step.

    Args:
        output: What it printed, or the error, as the planner is shown it.
        outcome: "ok", "error" (the planner is told) or "submit".
        submitted: What `SUBMIT` was given, by output field.
        seconds: How long it ran.
        printed: What of the documents the output shows the planner, as ranges.
        matched: What searches found, as the REPL says it; whether anybody read it is not said.
        rolled_back: The step was ended, and what it had changed in the REPL is undone.
    """

    kind: Literal["executed"] = "executed"
    output: str
    outcome: Literal["ok", "error", "submit"] = "ok"
    submitted: dict[str, Any] | None = None
    seconds: float = 0.0
    printed: tuple[Range, ...] = ()
    matched: tuple[Range, ...] = ()
    rolled_back: bool = False


class ToolCalled(Event):
    """Code called one of the user's tools.

    Args:
        tool: Its name.
        request: What tells this call from others: a hash of the name and the arguments.
        value: What it returned, as `as_plain_json` writes it; None where that cannot be recorded.
        recorded: Whether `value` is what it returned.
        error: The class name of what it raised; empty where it returned.
        reason: The message of that.
        seconds: How long it took.
    """

    kind: Literal["tool_called"] = "tool_called"
    tool: str
    request: str
    value: Any = None
    recorded: bool = True
    error: str = ""
    reason: str = ""
    seconds: float = 0.0


class SubQueryStarted(Event):
    """A sub-query was handed to the scheduler.

    Args:
        query: Its number in the run, from 1; set by the log.
        operator: "llm_query", "ask", "ask_each", "keep" or "combine".
        question: The question.
        characters: Length of the question and of the text it reads.
        items: How many items share the call.
    """

    kind: Literal["sub_query_started"] = "sub_query_started"
    query: int = 0
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
        reason: The error's message, as code sees it.
        said: How the model's answer begins, where it was not of the type. Code does not see it: an
            error that nothing catches is shown to the planner, and a text may have written it.
        too_much: The provider refused what was in the request, so that a part of it may pass.
        sent: What of the documents its model read, as ranges.
    """

    kind: Literal["sub_query_failed"] = "sub_query_failed"
    query: int
    error: str
    reason: str
    said: str = ""
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
        request: What tells this request from others: a hash of the role, the model and the prompt.
        answered_by: The model that answered, as its provider calls it; empty where none said so.
        seconds: How long the attempt took, its wait for a turn left out; 0 for a cache hit.
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
    request: str = ""
    answered_by: str = ""
    seconds: float = 0.0


class CallFailed(Event):
    """A request to a model was given up: every attempt failed, or a limit refused it.

    Args:
        role: The predictor.
        model: The model's name.
        query: The sub-query that it was made for, by its number in the run; 0 for none.
        request: What tells this request from others.
        error: The class name of the error.
        reason: The error's message.
        data: The error's own data, as far as it is plain.
    """

    kind: Literal["call_failed"] = "call_failed"
    role: str
    model: str
    query: int = 0
    request: str = ""
    error: str
    reason: str
    data: dict[str, Any] = {}


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


class Stopped(Event):
    """A run was ended early, by a limit of time, an interruption or too many failures.

    Args:
        reason: Why.
    """

    kind: Literal["stopped"] = "stopped"
    reason: str


class RunResumed(Event):
    """A run that had ended early, or whose process died, goes on."""

    kind: Literal["run_resumed"] = "run_resumed"


class RunEnded(Event):
    """A run ended.

    Args:
        status: How.
        reason: Why it is not completed, or "not_found"; empty otherwise.
        spend: What it cost: `Spend.as_dict`.
    """

    kind: Literal["run_ended"] = "run_ended"
    status: Status
    reason: str
    spend: dict[str, Any]


AnyEvent = Annotated[
    Union[  # noqa: UP007 - a type checker does not take `|` of a tuple
        RunStarted,
        Planned,
        Folded,
        Executed,
        ToolCalled,
        SubQueryStarted,
        SubQueryAnswered,
        SubQueryFailed,
        Charged,
        CallFailed,
        Submitted,
        Extracted,
        Answered,
        LookedUp,
        Stopped,
        RunResumed,
        RunEnded,
    ],
    Field(discriminator="kind"),
]


@functools.cache
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(AnyEvent)


def schema() -> dict[str, Any]:
    """The JSON schema of an event."""
    return _adapter().json_schema(ref_template="#/$defs/{model}")


def as_json(event: Event, exclude: set[str] | None = None) -> str:
    """An event as JSON; values that JSON does not have are written as text.

    Args:
        event: The event.
        exclude: Fields that are left out.
    """
    try:
        serializer = event.__pydantic_serializer__
        return serializer.to_json(event, exclude=exclude, fallback=_shown).decode()
    except ValueError:  # lone surrogates, which UTF-8 does not have
        plain = event.model_dump(exclude=exclude)
        return json.dumps(with_text_keys(plain), default=_shown)


def _shown(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    return sorted(value, key=repr) if isinstance(value, (set, frozenset)) else str(value)


def parsed(text: str) -> Event:
    """An event from its JSON.

    Returns:
        The event; a bare `Event` for a kind that this version does not know.

    Raises:
        ValueError: It is none.
    """
    data = json.loads(text)
    try:
        return _adapter().validate_python(data)
    except ValidationError:
        if any(member.model_fields["kind"].default == data.get("kind") for member in kinds()):
            raise
        return Event.model_validate({name: data.get(name) for name in Event.model_fields})


def kinds() -> tuple[type[Event], ...]:
    """All kinds of events."""
    return get_args(get_args(AnyEvent)[0])
