"""What never enters a record: keys, and in a record of metadata every text."""

import os
import re
from collections.abc import Iterable
from typing import Any

from rlm_dspy.events import Event

# A shorter value is no key, and would be found in any text.
_SHORTEST = 8
_SECRET_NAME = re.compile(r"(_API_KEY|_TOKEN|_SECRET|_SECRET_KEY|_ACCESS_KEY|_PASSWORD)$")
_SECRET_SETTING = re.compile(r"key|token|secret|password|authorization|credential", re.IGNORECASE)
HIDDEN = "[secret]"

# The fields of events that hold what was asked, read, written or answered.
_TEXTS = {
    *("question", "value", "output", "code", "reasoning", "said", "submitted", "outputs", "found"),
    *("reason", "error_text", "documents", "data", "missing"),
}
# Of these kinds the reason is a class of endings, not a message.
_REASONS_KEPT = {"run_ended", "stopped", "extracted"}


def secrets_of(lms: Iterable[Any]) -> tuple[str, ...]:
    """The keys that must not be written down: those of LMs and of the environment.

    Args:
        lms: The LMs of a run.
    """
    found: set[str] = set()
    for lm in lms:
        for name, value in (getattr(lm, "kwargs", None) or {}).items():
            if _SECRET_SETTING.search(name) and name != "max_tokens":
                found |= set(_strings(value))
            elif isinstance(value, dict):
                found |= {
                    text
                    for inner, held in value.items()
                    if _SECRET_SETTING.search(str(inner))
                    for text in _strings(held)
                }
    found |= {value for name, value in os.environ.items() if _SECRET_NAME.search(name)}
    return tuple(sorted((s for s in found if len(s) >= _SHORTEST), key=len, reverse=True))


def _strings(value: Any) -> list[str]:
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if isinstance(value, str):
        return [value.removeprefix("Bearer ")]
    if isinstance(value, dict):
        return [text for held in value.values() for text in _strings(held)]
    return []


def redacted(text: str, secrets: Iterable[str]) -> str:
    """A text without keys."""
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    return text


def storable(text: str) -> str:
    """A text as SQLite takes it: without lone surrogates, which UTF-8 does not have."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def metadata_of(event: Event) -> Event:
    """An event without its texts: what happened when and what it cost."""
    kept = event.kind in _REASONS_KEPT
    blank: dict[str, Any] = {}
    for name in event.__class__.model_fields:
        if name in _TEXTS and not (name == "reason" and kept):
            blank[name] = _blank(getattr(event, name))
    if event.kind == "submitted" and getattr(event, "error", ""):
        blank["error"] = HIDDEN_TEXT
    return event.model_copy(update=blank)


HIDDEN_TEXT = "[not recorded]"


def _blank(value: Any) -> Any:
    if isinstance(value, str):
        return HIDDEN_TEXT if value else ""
    if isinstance(value, dict):
        return {}
    return () if isinstance(value, tuple) else None
