"""What models were asked in a run and what they said, as the data of a page.

A planner's prompt grows by what is appended, and sub-queries share their instructions: each text is
in the data once, and messages name it by its number.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

from rlm_dspy.events import Charged

# Whom an attempt at a model was made for: the sub-run as in `Event.run`, "step" or "query", and the
# step's or the sub-query's number.
Owner = tuple[str, Literal["step", "query"], int]


class Exchange(TypedDict):
    """One attempt at a model.

    Args:
        messages: The chat messages, each with "role" and "content".
        reply: What came back; empty where nothing did.
        model: The model's name.
        role: The predictor: "plan", "sub_query", "extract" or "direct".
        prompt_tokens: Tokens of the prompt.
        completion_tokens: Tokens of the reply.
        dollars: What it cost, in US dollars.
        error: The class name of the error that ended it; empty when it succeeded.
        cache_hit: The cache answered.
    """

    messages: Sequence[Mapping[str, Any]]
    reply: str
    model: NotRequired[str]
    role: NotRequired[str]
    prompt_tokens: NotRequired[int]
    completion_tokens: NotRequired[int]
    dollars: NotRequired[float]
    error: NotRequired[str]
    cache_hit: NotRequired[bool]


Exchanges = Mapping[Owner, Sequence[Exchange]]


def recorded(
    events: Sequence[Any], said: Mapping[int, tuple[Sequence[Mapping[str, Any]], Any]]
) -> dict[Owner, list[Exchange]]:
    """What a store of runs has of a run's attempts, by whom each was made for.

    Args:
        events: All events of the run, in order.
        said: The messages and the LM's outputs of an attempt, by the place of its `Charged` event
            among the events.

    Returns:
        The attempts, in order.
    """
    found: dict[Owner, list[Exchange]] = {}
    for place in sorted(place for place in said if place < len(events)):
        event = events[place]
        if not isinstance(event, Charged):
            continue
        messages, outputs = said[place]
        of_query = event.role == "sub_query" and event.query > 0
        owner: Owner = (
            (event.run, "query", event.query) if of_query else (event.run, "step", event.step)
        )
        exchange = Exchange(
            messages=messages,
            reply=_reply(outputs),
            model=event.model,
            role=event.role,
            prompt_tokens=event.prompt_tokens,
            completion_tokens=event.completion_tokens,
            dollars=event.dollars,
            error=event.error,
            cache_hit=event.cache_hit,
        )
        found.setdefault(owner, []).append(exchange)
    return found


def packed(exchanges: Exchanges) -> dict[str, Any]:
    """Exchanges with each text once.

    Args:
        exchanges: The attempts by whom they were made for.

    Returns:
        "texts", and "of": the run, the kind and the number of each owner with what was "made" for
        it, in which messages are (role, number of the text) and the reply is the number of a text.
    """
    texts: dict[str, int] = {}

    def number(text: str) -> int:
        return texts.setdefault(text, len(texts))

    owners = []
    for (run, kind, place), made in exchanges.items():
        attempts = [
            {
                **exchange,
                "messages": [
                    (str(message.get("role", "")), number(_text(message.get("content"))))
                    for message in exchange["messages"]
                ],
                "reply": number(exchange["reply"]),
            }
            for exchange in made
        ]
        owners.append({"run": run, "kind": kind, "number": place, "made": attempts})
    return {"texts": list(texts), "of": owners}


def _text(content: Any) -> str:
    """A message's content as a text; what is no text in it by its kind."""
    if isinstance(content, str):
        return content
    if isinstance(content, Iterable) and not isinstance(content, Mapping):
        return "\n".join(_part(part) for part in content)
    return "" if content is None else json.dumps(content, ensure_ascii=False, default=str)


def _part(part: Any) -> str:
    if not isinstance(part, Mapping):
        return str(part)
    return part["text"] if isinstance(part.get("text"), str) else f"({part.get('type', 'data')})"


def _reply(outputs: Any) -> str:
    """The texts among what an LM returned, with the reasoning that it gave apart."""
    parts = []
    for output in outputs if isinstance(outputs, list) else []:
        said = output if isinstance(output, Mapping) else {"text": output}
        texts = (said.get("reasoning_content"), said.get("text"))
        parts += [text for text in texts if isinstance(text, str) and text]
    return "\n\n".join(parts)
