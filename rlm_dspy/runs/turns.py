"""What models said in a recorded run, each reply with its prompt, and what came of it.

Promised: a reply is good only where the run took it and nothing of it failed: a planner's step
whose code ran and whose submission was accepted, a sub-query whose every item was answered, an
extraction or a direct answer that fits its types. A reply that another one mended is not.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rlm_dspy.events import (
    Answered,
    Charged,
    Event,
    Executed,
    Extracted,
    Submitted,
    SubQueryAnswered,
)
from rlm_dspy.runs.redaction import storable

Message = dict[str, str]
# A sub-run, and a role with the number of its step or sub-query.
_Place = tuple[str, str, int]


class Turn(NamedTuple):
    """One reply of a model.

    Args:
        run: The sub-run that it was given to; empty for the run itself.
        role: The predictor: "plan", "sub_query", "extract" or "direct".
        step: The planner's step.
        model: The model's name.
        messages: The prompt, each message with "role" and "content".
        reply: What the model said.
        is_last: Whether no later reply of the same step or sub-query stands in its place.
        is_good: Whether the run took it and nothing of it failed.
    """

    run: str
    role: str
    step: int
    model: str
    messages: list[Message]
    reply: str
    is_last: bool
    is_good: bool


def turns_of(
    events: Sequence[Event],
    exchanges: Mapping[int, tuple[Sequence[Mapping[str, Any]], list[Any] | None]],
) -> tuple[list[Turn], int]:
    """The replies of a run, in order.

    Args:
        events: All events of the run, in order.
        exchanges: The messages and the LM's outputs of an attempt, by the place of its `Charged`
            event among the events.

    Returns:
        The replies, and how many others there are that are not one plain text: several at once,
        calls of tools, pictures.
    """
    good = _good(events)
    replies = [
        (event, *exchanges[number])
        for number, event in enumerate(events)
        if isinstance(event, Charged) and number in exchanges and not event.error
    ]
    last = {_place(event): number for number, (event, _, _) in enumerate(replies)}
    turns, unlike = [], 0
    for number, (event, messages, outputs) in enumerate(replies):
        prompt = [_message(message) for message in messages]
        reply = _reply(outputs)
        if reply is None or None in prompt:
            unlike += 1
            continue
        place = _place(event)
        final = last[place] == number
        turns.append(
            Turn(
                run=event.run,
                role=event.role,
                step=event.step,
                model=event.model,
                messages=[message for message in prompt if message is not None],
                reply=reply,
                is_last=final,
                is_good=final and place in good,
            )
        )
    return turns, unlike


def _place(event: Charged) -> _Place:
    return event.run, event.role, event.query if event.role == "sub_query" else event.step


def _good(events: Sequence[Event]) -> set[_Place]:
    """Where the last reply is good."""
    good: set[_Place] = set()
    for event in events:
        step = event.run, "plan", event.step
        if isinstance(event, Executed) and event.outcome != "error" and not event.rolled_back:
            good.add(step)
        elif isinstance(event, Submitted) and not event.accepted:
            good.discard(step)
        elif isinstance(event, SubQueryAnswered) and not event.missing:
            good.add((event.run, "sub_query", event.query))
        elif isinstance(event, Extracted) and not event.error:
            good.add((event.run, "extract", event.step))
        elif isinstance(event, Answered):
            good.add((event.run, "direct", event.step))
    return good


def _message(message: Mapping[str, Any]) -> Message | None:
    """A message as a chat template takes it; None where it holds more than text."""
    content = message.get("content")
    if isinstance(content, list) and all(_is_text(part) for part in content):
        content = "".join(part["text"] for part in content)
    if not isinstance(content, str) or message.get("tool_calls"):
        return None
    return {"role": str(message.get("role", "")), "content": storable(content)}


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part["text"], str)


def _reply(outputs: list[Any] | None) -> str | None:
    if outputs is None or len(outputs) != 1:
        return None
    said = outputs[0]
    if isinstance(said, dict):
        said = None if said.get("tool_calls") else said.get("text")
    return storable(said) if isinstance(said, str) else None
