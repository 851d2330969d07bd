"""How the predictors speak on the wire: `ReplAdapter`.

dspy's own adapters spend hundreds of tokens on field markers and lose small models. This one is
lean: a system text, chat turns that only ever grow, a reply of one code block for the planner, and
plain text (or JSON, for several outputs) for everything else. It is used where the user configured
no adapter; instructions and demos of optimizers go through it as through any other.

A reply that carries dspy's field markers is read as well, so that scripted models and demos made
with `ChatAdapter` keep working.
"""

import ast
import contextlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import dspy
import json_repair
from dspy.adapters.chat_adapter import ChatAdapter, field_header_pattern
from dspy.adapters.types.base_type import split_message_content_for_custom_types
from dspy.adapters.utils import apply_output_field_defaults, serialize_for_json
from dspy.utils.exceptions import AdapterParseError
from pydantic import BaseModel, ConfigDict, create_model

from rlm_dspy.coercion import coerce_text, exact, type_name, validated
from rlm_dspy.demos import steps_before, turns_of
from rlm_dspy.fencing import fence
from rlm_dspy.schemas import json_schema, schema_text, shape_text
from rlm_dspy.signatures import (
    OWN_DESCRIPTIONS,
    description,
    is_plan,
    is_special,
)

# A reply ends with its block: what a model writes after it is imagined output.
STOP = ("\n```\n", "\nOutput:")
# One fenced block and nothing else. Measured: a 0.5B model then plans 16 look-ups of 16, and none
# of 5 without it.
CODE_GRAMMAR = 'root ::= "```python\\n" [^`]+ "\\n```"'
# The first block must not begin with SUBMIT: before anything was looked at, that is a guess.
# Measured: a 0.5B model guesses in 1 look-up of 8 otherwise.
LOOK_GRAMMAR = 'root ::= "```python\\n" [^S`] [^`]* "\\n```"'

_OPENING = re.compile(
    r"^[ \t]*```[ \t]*([\w+-]*)[^\n]*\n|(?<!`)```[ \t]*(python3?|py3?)[ \t]*\n",
    re.MULTILINE | re.IGNORECASE,
)
_CLOSING = re.compile(r"^[ \t]*```[ \t]*$", re.MULTILINE)
# An opened fence (see `fencing.fence`) on a line of its own.
_IMAGINED = re.compile(r"^<text>$", re.MULTILINE)
_THINKING, _THOUGHT = "<think>", "</think>"
# Where the chat template wrote the opening mark, the closing one stands alone on its line.
_ALONE = re.compile(rf"^[ \t]*{_THOUGHT}[ \t]*$", re.MULTILINE)
_PYTHON = {"", "python", "py", "python3", "py3"}


@dataclass(frozen=True)
class Wire:
    """What the server of a model takes.

    Args:
        stop: Stop sequences.
        constraint: "grammar" (GBNF, as llama.cpp takes it), "json_schema", or None for neither.
    """

    stop: bool = False
    constraint: Literal["grammar", "json_schema"] | None = None


class ReplAdapter(ChatAdapter):
    """The lean wire format of `RLM`.

    Args:
        wire: What the server of a model takes; asked at each call. By default nothing but plain
            chat is assumed.
    """

    def __init__(self, wire: Callable[[Any], Wire] | None = None):
        super().__init__(use_json_adapter_fallback=False)
        self._wire = wire or (lambda lm: Wire())

    async def acall(self, lm, lm_kwargs, signature, demos, inputs):
        """Adds what the server takes to the request, and asks."""
        request = self._request(lm, signature, inputs)
        demos = _as_written(demos, request) if is_plan(signature) else demos
        return await super().acall(lm, {**request, **lm_kwargs}, signature, demos, inputs)

    def __call__(self, lm, lm_kwargs, signature, demos, inputs):
        """Adds what the server takes to the request, and asks."""
        request = self._request(lm, signature, inputs)
        demos = _as_written(demos, request) if is_plan(signature) else demos
        return super().__call__(lm, {**request, **lm_kwargs}, signature, demos, inputs)

    def format(self, signature, demos, inputs) -> list[dict[str, Any]]:
        """The chat messages: system text, demos, the turns so far, the new turn."""
        if not _lean(signature):
            return super().format(signature, demos, inputs)
        turns = inputs["history"].messages if is_plan(signature) and inputs.get("history") else []
        messages = [{"role": "system", "content": self._system(signature, turns, inputs)}]
        for turn in [*turns_of(demos, signature), *turns]:
            messages.append({"role": "user", "content": _user(signature, turn)})
            messages.append({"role": "assistant", "content": _assistant(signature, turn)})
        messages.append({"role": "user", "content": _user(signature, inputs)})
        return split_message_content_for_custom_types(messages)

    def parse(self, signature, completion: str) -> dict[str, Any]:
        """The outputs that a reply gives.

        Raises:
            AdapterParseError: It does not give them.
        """
        reply, completion = completion, after_thought(completion)
        if reply.strip() and not completion.strip():
            raise AdapterParseError(
                adapter_name="ReplAdapter",
                signature=signature,
                lm_response=reply,
                message="the reply ends with its thinking",
            )
        if not _lean(signature) or any(
            header in signature.output_fields for header in _headers(completion)
        ):
            return super().parse(signature, completion)
        if is_plan(signature):
            reasoning, code = split_reply(completion)
            return {"reasoning": reasoning, "code": code}
        try:
            return _outputs(signature, completion)
        except ValueError as error:
            raise AdapterParseError(
                adapter_name="ReplAdapter",
                signature=signature,
                lm_response=completion,
                message=str(error),
            ) from error

    def _system(self, signature, turns, inputs) -> str:
        rules = (turns[0] if turns else inputs).get("rules") if is_plan(signature) else None
        return f"{signature.instructions}\n\n{rules}" if rules else signature.instructions

    def _request(self, lm, signature, inputs) -> dict[str, Any]:
        if not _lean(signature) or _is_text(signature):
            return {}  # without asking: for a provider's model that costs 0.3 ms
        wire = self._wire(lm)
        if is_plan(signature):
            request: dict[str, Any] = {"stop": list(STOP)} if wire.stop else {}
            first = inputs.get("output") is None
            grammar = _grammar(LOOK_GRAMMAR if first else CODE_GRAMMAR)
            return request | (grammar if wire.constraint == "grammar" else {})
        if wire.constraint is None:
            return {}
        if (options := _choices(signature)) and wire.constraint == "grammar":
            return _grammar("root ::= " + " | ".join(_gbnf(option) for option in options))
        if len(signature.output_fields) > 1 and wire.constraint == "json_schema":
            return {"response_format": _model(signature)}
        if wire.constraint == "grammar" and (schema := _schema(signature)) is not None:
            schema = {"name": "outputs", "schema": schema}
            return {"response_format": {"type": "json_schema", "json_schema": schema}}
        return {}


def _as_written(demos: Sequence[Any], request: Mapping[str, Any]) -> list[Any]:
    """A planner's demos as the planner can write them: without prose where a grammar forbids it.

    A teacher's prose before the code becomes a comment in it otherwise, and a 0.5B model stops
    after that.
    """
    if "extra_body" not in request:
        return list(demos)
    bare: list[Any] = []
    for demo in demos:
        steps = [{**turn, "reasoning": None} for turn in steps_before(demo)]
        bare.append({**demo, "reasoning": None, "history": {"messages": steps}})
    return bare


def _grammar(gbnf: str) -> dict[str, Any]:
    """A grammar as a request carries it to a llama.cpp server."""
    return {"extra_body": {"grammar": gbnf}}


def split_reply(reply: str) -> tuple[str, str]:
    """The planner's reply as reasoning and code, without what it thought before.

    The first block of Python is the code, whatever blocks of other languages stand before it; what
    follows it is imagined output. Its end is moved past inner backticks until it parses, since code
    may hold three of them in a string. A reply without a block that is itself Python is code.

    Returns:
        The text before the block, and the code; the code is "" where there is none.
    """
    reply = after_thought(reply)
    opening = _opening(reply)
    if opening is None:
        bare = reply.strip().strip("`")
        return ("", bare) if _is_code(bare) else (reply.strip(), "")
    body = reply[opening.end() :]
    ends = [match.start() for match in re.finditer(r"^[ \t]*```|```[ \t]*$", body, re.MULTILINE)]
    code = next((body[:end] for end in ends if _parses(body[:end])), None)
    if code is None:
        code = body[: ends[0]] if ends else body
    return reply[: opening.start()].strip(), code.strip("\n").rstrip()


def after_thought(reply: str) -> str:
    """A reply without the thinking that some servers leave in it.

    Reasoning models write it before the reply, between `<think>` and `</think>`; a chat template
    may have written the opening mark. Where it was not closed, the reply is missing.
    """
    if reply.lstrip().startswith(_THINKING):
        return reply.partition(_THOUGHT)[2]
    closing = None if _THINKING in reply else _ALONE.search(reply)
    return reply if closing is None else reply[closing.end() :]


def _opening(reply: str) -> re.Match[str] | None:
    """Where the first block of Python opens; a block of another language is passed over whole."""
    at = 0
    while (opening := _OPENING.search(reply, at)) is not None:
        if (opening[1] or opening[2] or "").lower() in _PYTHON:
            return opening
        closing = _CLOSING.search(reply, opening.end())
        if closing is None:
            return None
        at = closing.end()
    return None


def fenced(code: str) -> str:
    """Code as a reply shows it."""
    return f"```python\n{code}\n```"


def _parses(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError):
        return False
    return bool(code.strip())


def _is_code(text: str) -> bool:
    return _parses(text) and ("(" in text or "=" in text)


def _headers(reply: str) -> list[str]:
    return [match[1] for match in field_header_pattern.finditer(reply)]


def _lean(signature: type[dspy.Signature]) -> bool:
    """Whether all fields are plain: images, tools and other dspy types need dspy's own format."""
    annotations = [field.annotation for field in signature.fields.values()]
    if any(is_special(annotation) for annotation in annotations):
        return False
    return is_plan(signature) or dspy.History not in annotations


def _user(signature: type[dspy.Signature], turn: Any) -> str:
    """One user turn: exactly the inputs that were sent at that step."""
    given = {n: turn.get(n) for n in signature.input_fields if turn.get(n) is not None}
    if is_plan(signature):
        parts = [given.get("variables"), f"Output:\n{given['output']}" if "output" in given else ""]
        return "\n\n".join(part for part in parts if part) or "Begin."
    if set(signature.input_fields) == {"question", "text"}:
        parts = [str(given.get("question", ""))]
        if "text" in given:
            parts.append(fence("text", str(given["text"])))
    else:
        parts = [
            f"{_said_of(name, signature)}{fence(name, _plain(given[name]), *given)}"
            for name in given
        ]
    return "\n\n".join([*parts, _answer_form(signature)]).strip()


def _assistant(signature: type[dspy.Signature], turn: Any) -> str:
    if is_plan(signature):
        reasoning, code = turn.get("reasoning") or "", turn.get("code") or ""
        return "\n\n".join(part for part in (reasoning, fenced(code) if code else "") if part)
    values = {name: serialize_for_json(turn.get(name)) for name in signature.output_fields}
    if len(values) == 1:
        value = next(iter(values.values()))
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return json.dumps(values, ensure_ascii=False)


def _plain(value: Any) -> str:
    value = serialize_for_json(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _answer_form(signature: type[dspy.Signature]) -> str:
    fields = signature.output_fields
    if len(fields) == 1:
        (name, field) = next(iter(fields.items()))
        return f"{_said_of(name, signature)}{answer_form(field.annotation)}".rstrip()
    keys = ", ".join(f'"{name}" ({_kind_of(field)})' for name, field in fields.items())
    shapes = [
        f"\n{name}: JSON of this schema: {shape}"
        for name, field in fields.items()
        if (shape := shape_text(field.annotation))
    ]
    return f"Reply with one JSON object with the keys {keys}.{''.join(shapes)}"


def _kind_of(field: Any) -> str:
    said = description(field)
    return f"{type_name(field.annotation)}; {said}" if said else type_name(field.annotation)


def _said_of(name: str, signature: type[dspy.Signature]) -> str:
    """A line with what a signature says of a field, where it is not our own."""
    said = description(signature.fields[name])
    return f"{name}: {said}\n" if said and said not in OWN_DESCRIPTIONS else ""


def answer_form(annotation: Any) -> str:
    """How a reply of one type is asked for; empty for plain text."""
    if annotation in (str, Any):
        return ""
    named = {bool: "yes or no", int: "one whole number", float: "one number"}.get(annotation)
    if named:
        return f"Answer with {named} only."
    if get_origin(annotation) is Literal:
        return f"Answer with exactly one of: {', '.join(str(o) for o in annotation.__args__)}."
    if get_origin(annotation) is list and annotation.__args__[0] is str:
        return "Answer with a JSON list of strings only."
    schema = schema_text(annotation)
    told = f"of this schema: {schema}" if schema else type_name(annotation)
    return f"Answer with JSON only, {told}"


def _is_text(signature: type[dspy.Signature]) -> bool:
    """Whether the reply is plain text, as of most sub-queries."""
    return [field.annotation for field in signature.output_fields.values()] == [str]


def _choices(signature: type[dspy.Signature]) -> list[str] | None:
    if len(signature.output_fields) != 1:
        return None
    annotation = next(iter(signature.output_fields.values())).annotation
    if annotation is bool:
        return ["yes", "no"]
    return [str(o) for o in get_args(annotation)] if get_origin(annotation) is Literal else None


def _model(signature: type[dspy.Signature]) -> type[BaseModel]:
    fields: dict[str, Any] = {n: (f.annotation, ...) for n, f in signature.output_fields.items()}
    return create_model("Outputs", __config__=ConfigDict(extra="forbid"), **fields)


def _schema(signature: type[dspy.Signature]) -> dict[str, Any] | None:
    """The JSON schema of the reply; None where the reply is plain text or one plain number."""
    if len(signature.output_fields) > 1:
        return _model(signature).model_json_schema()
    annotation: Any = next(iter(signature.output_fields.values())).annotation
    if annotation in (str, int, float, Any) or type(None) in get_args(annotation):
        return None
    return json_schema(annotation)


def _gbnf(literal: str) -> str:
    return json.dumps(literal, ensure_ascii=False)


def _outputs(signature: type[dspy.Signature], reply: str) -> dict[str, Any]:
    fields = signature.output_fields
    if len(fields) == 1:
        (name, field), text = next(iter(fields.items())), _before_imagined(reply)
        return {name: coerce_text(text, field.annotation)}
    start, end = reply.find("{"), reply.rfind("}")
    found = json_repair.loads(reply[start : end + 1]) if start != -1 else None
    if not isinstance(found, dict):
        raise ValueError(f"expected a JSON object with the keys {', '.join(fields)}")
    given = {name: found[name] for name in fields if name in found}
    values = {name: _value(value, fields[name].annotation) for name, value in given.items()}
    complete = apply_output_field_defaults(signature, values)
    if missing := [name for name in fields if name not in complete]:
        raise ValueError(f"the reply lacks {', '.join(missing)}")
    return complete


def _value(value: Any, annotation: Any) -> Any:
    """A value of a JSON object as an output: as JSON typed it, where that is its type."""
    if not isinstance(value, str):
        return validated(value, annotation)
    with contextlib.suppress(ValueError):
        return exact(value, annotation)
    return coerce_text(value, annotation)


def _before_imagined(reply: str) -> str:
    """A reply without what a base model goes on to imagine: the text of the next question."""
    return _IMAGINED.split(reply, maxsplit=1)[0].strip()
