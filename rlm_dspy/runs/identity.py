"""Whether two events are the same one at two times, and how events are named in a mismatch."""

import re

from rlm_dspy.events import Event, Executed, as_json
from rlm_dspy.runs.redaction import HIDDEN, known_secrets, redacted

# What differs from one time to the next without anything else having happened.
VOLATILE = {
    *("at", "seconds", "query", "sent", "printed", "matched", "dollars", "estimated", "spend"),
    *("limits", "model", "sub_model", "clock", "seed", "version"),
}
# An object's place in memory, as `repr` shows it.
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,16}\b")


def identity(event: Event) -> str:
    """What is the same in an event each time that it happens; a record has no keys."""
    text = redacted(as_json(event, exclude=VOLATILE), known_secrets())
    return _ADDRESS.sub("0x", text) if "0x" in text else text


def as_then(now: Event, then: Event) -> Event:
    """An event that happens again: its values, with the times and numbers of then."""
    if isinstance(then, Executed) and isinstance(now, Executed):
        again = {"submitted": now.submitted}
        if HIDDEN in then.output:
            again["output"] = now.output
        return then.model_copy(update=again)  # what it printed may have held an address
    names = VOLATILE & set(type(then).model_fields)
    return now.model_copy(update={name: getattr(then, name) for name in names})


def place(run: str, step: int) -> str:
    """A step, in words."""
    return f"step {step}" + (f" of its sub-run {run}" if run else "")


def said(event: Event | None) -> str:
    """What an event holds, short."""
    if event is None:
        return "nothing"
    text = redacted(as_json(event, exclude={*VOLATILE, "kind", "step", "run"}), known_secrets())
    return text if len(text) <= 400 else f"{text[:400]}…"
