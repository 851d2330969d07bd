"""What a worker says, checked field by field before anything else sees it."""

from dataclasses import dataclass
from typing import Any

from rlm_dspy.dspy_errors import InterpreterError, PolicyViolation
from rlm_dspy.placed import Origin
from rlm_dspy.repl.isolation import Report
from rlm_dspy.repl.protocol import ProtocolError, leaves_copy
from rlm_dspy.wire import MOST_FOUND

KINDS = ("ok", "submit", "error", "policy", "syntax")
_MAX_MESSAGE = 20_000
_MAX_NAME = 200
# How much longer than the cut an output may be: the note that says what was cut.
_NOTE = 400
_MAX_OFFSET = 1 << 62


@dataclass(frozen=True)
class Answer:
    """The end of a step.

    Args:
        kind: One of `KINDS`.
        output: What it printed, cut.
        submitted: Field name to value, where it called SUBMIT.
        error_type: The exception's class name, where it failed.
        message: The error, for the model.
        line: The line that failed, from 1.
        full: Whether the worker's memory is used up.
    """

    kind: str
    output: str
    submitted: dict[str, Any] | None
    error_type: str
    message: str
    line: int | None
    full: bool
    found: tuple[Origin, ...] = ()

    @property
    def leaves_copy(self) -> bool:
        """Whether the worker leaves a copy after it."""
        return leaves_copy(self.kind, self.error_type, full=self.full)


@dataclass(frozen=True)
class ToolCall:
    """A call of a host function."""

    name: str
    args: list[Any]
    kwargs: dict[str, Any]


def _text(message: dict[str, Any], key: str, limit: int) -> str:
    value = message.get(key)
    if type(value) is not str:
        raise ProtocolError(f"{key!r} is no text")
    return value if len(value) <= limit else value[:limit]


def read_layers(message: dict[str, Any]) -> Report:
    """The report of the layers of isolation in a "ready" message.

    Raises:
        ProtocolError: It is another message, or no such report.
    """
    layers = message.get("layers")
    if message["op"] != "ready" or type(layers) is not dict or not _is_named(layers):
        raise ProtocolError("the worker does not say that it is ready")
    if not all(type(value) in (bool, str) for value in layers.values()):
        raise ProtocolError("a malformed report of the layers")
    return layers


def read_answer(message: dict[str, Any], max_output_chars: int) -> Answer:
    """The answer in a "done" message.

    Args:
        message: As it came.
        max_output_chars: Where output is cut; a worker that did not cut it is cut here.

    Raises:
        ProtocolError: A field is missing or of another type.
    """
    kind, line, submitted = (
        _text(message, "kind", _MAX_NAME),
        message.get("line"),
        message.get("submitted"),
    )
    if kind not in KINDS:
        raise ProtocolError(f"an unknown kind of answer {kind[:40]!r}")
    if not (line is None or (type(line) is int and 0 <= line < 1 << 31)):
        raise ProtocolError("'line' is no line number")
    if kind == "submit" and not _is_named(submitted):
        raise ProtocolError("'submitted' is no dict of fields")
    return Answer(
        kind=kind,
        output=_text(message, "output", max_output_chars + _NOTE),
        submitted=submitted if kind == "submit" else None,
        error_type=_text(message, "error_type", _MAX_NAME),
        message=_text(message, "message", _MAX_MESSAGE),
        line=line,
        full=message.get("full") is True,
        found=_found(message.get("found")),
    )


def _found(ranges: Any) -> tuple[Origin, ...]:
    if ranges is None:
        return ()
    if type(ranges) is not list or len(ranges) > MOST_FOUND:
        raise ProtocolError("'found' is no list of ranges")
    for each in ranges:
        if type(each) is not tuple or list(map(type, each)) != [int, int, int]:
            raise ProtocolError("'found' holds what is no range")
        context, start, end = each
        if context < 0 or not 0 <= start <= end < _MAX_OFFSET:
            raise ProtocolError("'found' holds a range that is none")
    return tuple(Origin(*each) for each in ranges)


def read_partial(message: dict[str, Any], max_output_chars: int) -> str:
    """What a step had printed, in a "partial" message.

    Raises:
        ProtocolError: It is another message, or has no text.
    """
    if message["op"] != "partial":
        raise ProtocolError(f"{message['op'][:40]!r} in place of what was printed")
    return _text(message, "output", max_output_chars + _NOTE)


def read_refusal(message: dict[str, Any]) -> InterpreterError | PolicyViolation:
    """The error in a "refused" message: a step that was not begun.

    Raises:
        ProtocolError: It has no text.
    """
    text = _text(message, "message", _MAX_MESSAGE)
    return PolicyViolation(text) if message.get("policy") is True else InterpreterError(text)


def read_call(message: dict[str, Any]) -> ToolCall:
    """The call in a "call" message.

    Raises:
        ProtocolError: A field is missing or of another type.
    """
    args, kwargs = message.get("args"), message.get("kwargs")
    if type(args) is not list or type(kwargs) is not dict or not _is_named(kwargs):
        raise ProtocolError("a call without arguments")
    return ToolCall(_text(message, "name", _MAX_NAME), args, kwargs)


def _is_named(value: Any) -> bool:
    return type(value) is dict and all(type(key) is str for key in value)
