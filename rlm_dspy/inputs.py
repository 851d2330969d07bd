"""A run's inputs, checked, and long texts as `Context`s where the interpreter is ours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dspy

from rlm_dspy.context import Context
from rlm_dspy.errors import ConfigurationError, ContextError
from rlm_dspy.interpreters import as_json
from rlm_dspy.options import RLMOptions
from rlm_dspy.rules import SHORT_CHARS


def prepared(
    outer: type[dspy.Signature],
    inputs: Mapping[str, Any],
    options: RLMOptions,
    *,
    ours: bool,
    searched: bool,
) -> dict[str, Any]:
    """The inputs in the signature's order, as the REPL gets them.

    Args:
        outer: The user's signature.
        inputs: The inputs by name.
        options: Which texts are long.
        ours: Whether the interpreter is ours; another one gets a `Context` as a `str`, and what is
            no plain data as such.
        searched: Whether a recipe will search a context: the longest text is one, however short.

    Raises:
        ConfigurationError: An input is missing, or is not in the signature.
        ContextError: The input `context` is empty.
    """
    if unexpected := sorted(set(inputs) - set(outer.input_fields)):
        raise ConfigurationError(
            f"Unexpected inputs not declared in the signature: {unexpected}. "
            f"It declares {list(outer.input_fields)}."
        )
    given = {
        name: field.get_default(call_default_factory=True, validated_data=dict(inputs))
        for name, field in outer.input_fields.items()
        if not field.is_required() and name not in inputs
    }
    given |= inputs
    if missing := sorted(set(outer.input_fields) - set(given)):
        raise ConfigurationError(f"Missing required inputs: {missing}.")
    if not ours:
        return {n: _foreign(given[n]) for n in outer.input_fields}
    values = {n: as_input(n, given[n], options.context_above_chars) for n in outer.input_fields}
    texts = [n for n, value in values.items() if isinstance(value, (str, list, tuple)) and value]
    if searched and texts and not any(isinstance(v, Context) for v in values.values()):
        longest = max(texts, key=lambda name: len(str(values[name])))
        values[longest] = Context.coerce(values[longest])
    return values


def question_in(inputs: Mapping[str, Any]) -> str | None:
    """The name of the input that asks: the last short text, where another input is there to read.

    Args:
        inputs: The inputs, as `prepared` gives them.
    """
    short = [n for n, v in inputs.items() if isinstance(v, str) and len(v) <= SHORT_CHARS]
    return short[-1] if short and len(inputs) > 1 else None


def texts_of(inputs: Mapping[str, Any]) -> dict[str, Context]:
    """The inputs that can be read and quoted, by name: the texts and lists of texts.

    The question is none of them.

    Args:
        inputs: The inputs, as `prepared` gives them.
    """
    texts = {name: value for name, value in inputs.items() if name != question_in(inputs)}
    return {name: Context.coerce(value) for name, value in texts.items() if _is_text(value)}


def _is_text(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return bool(value) and all(map(_is_text, value))
    return isinstance(value, Context) or (isinstance(value, str) and bool(value.strip()))


def as_input(name: str, value: Any, above: int) -> Any:
    """An input as our REPL gets it.

    Args:
        name: Its name.
        value: What was given; a `Path` is read.
        above: A longer text becomes a `Context`, characters.

    Raises:
        ContextError: The input `context` is empty, or a path cannot be read.
    """
    if isinstance(value, Path):
        return Context.from_path(value)
    if name == "context" and isinstance(value, str) and not value.strip():
        raise ContextError(
            "The input 'context' is empty: give a text, a list of documents, or a Context."
        )
    return Context.from_text(value) if isinstance(value, str) and len(value) > above else value


def _foreign(value: Any) -> Any:
    return str(Context.from_path(value)) if isinstance(value, Path) else as_json(value)
