"""Citations in the worker: what SUBMIT takes where an output is a `Citation`.

Code may submit a piece of the input itself: it then crosses as its text with its range, and the
host looks whether its own text says the same there. Nothing that is claimed here is believed there.
"""

from dataclasses import dataclass
from typing import Any

from rlm_dspy.repl import rules
from rlm_dspy.repl.texts import as_text, is_host_text

# How an output that is a citation, or holds some, is named to SUBMIT.
TYPE = "Citation"
# The longest quote, characters.
LONGEST = 20_000


@dataclass
class Citation:
    """A quote to submit.

    Args:
        quote: What is quoted: a text, or a piece of an input.
        source: The title or path of the document; None for a piece's own.
    """

    quote: Any
    source: Any = None
    start: Any = None
    end: Any = None

    def __post_init__(self) -> None:
        found = _placed(self.quote)
        self.quote = found["quote"]
        self.source = as_text(self.source) or found.get("source")
        self.start, self.end = found.get("start"), found.get("end")


def submitted(value: Any) -> Any:
    """A value of a `Citation` output, each piece of an input in it with its range."""
    if isinstance(value, str) or is_host_text(value):
        return _placed(value)
    if type(value) is dict and "quote" in value:
        return {**_placed(value["quote"]), **_given(value)}
    if type(value) in (list, tuple):
        return [submitted(item) for item in value]
    return value


def _given(value: dict[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in value.items() if name != "quote" and item is not None}


def _placed(value: Any) -> dict[str, Any]:
    if isinstance(value, str) or is_host_text(value):
        if len(value) > LONGEST:
            raise ValueError(
                f"a quote of {len(value):,} characters: cite passages of at most {LONGEST:,}"
            )
        if is_host_text(value):
            place = {"source": value.title, "start": value.start, "end": value.end}
            return {"quote": as_text(value), **place}
    return {"quote": value}


rules.OPEN_INSTANCES.add(Citation)
rules.OPEN_CLASSES.add(Citation)
