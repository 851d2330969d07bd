"""What never enters a record: keys, and in a record of metadata every text."""

import json
import os
import re
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from rlm_dspy.events import Answered, Event, Extracted, LookedUp, Submitted, as_json
from rlm_dspy.plain_json import from_plain_json

# A shorter value is no key, and would be found in any text.
_SHORTEST = 8
_SECRET_NAME = re.compile(r"(_API_KEY|_TOKEN|_SECRET|_SECRET_KEY|_ACCESS_KEY|_PASSWORD)$")
_SECRET_SETTING = re.compile(r"key|token|secret|password|authorization|credential", re.IGNORECASE)
HIDDEN = "[secret]"
# JSON within JSON is as deep as a text is quoted: a model's reply in a message in an event.
_DEPTH = 2
# How long what the environment says is taken to hold, seconds: reading it takes longer than
# comparing an event.
_FRESH_SECONDS = 1.0

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

    Returns:
        Each key as it is and as JSON writes it, the longest first.
    """
    return _forms(_keys_of(lms) | _keys_of_environment())


def _keys_of(lms: Iterable[Any]) -> set[str]:
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
    return found


def _keys_of_environment() -> set[str]:
    return {value for name, value in os.environ.items() if _SECRET_NAME.search(name)}


def _forms(keys: Iterable[str]) -> tuple[str, ...]:
    found = {key.strip() for key in keys}
    forms = {key for key in found if len(key) >= _SHORTEST}
    for _ in range(_DEPTH):
        forms |= {
            json.dumps(form, ensure_ascii=escaped)[1:-1]
            for form in forms
            for escaped in (True, False)
        }
    return tuple(sorted(forms, key=len, reverse=True))


class _Known(NamedTuple):
    """What `known_secrets` gives, and when it was put together."""

    at: float = float("-inf")
    secrets: tuple[str, ...] = ()


_guard = threading.Lock()
_of_runs: set[str] = set()
_known = _Known()


def remember(secrets: Iterable[str]) -> None:
    """Has `known_secrets` give these too.

    Args:
        secrets: What `secrets_of` gave for a run.
    """
    global _known
    with _guard:
        _of_runs.update(secrets)
        _known = _Known()


def known_secrets() -> tuple[str, ...]:
    """The keys of the environment, and of all runs that this process had."""
    global _known
    now = time.monotonic()
    with _guard:
        if now - _known.at > _FRESH_SECONDS:
            found = _of_runs.union(_forms(_keys_of_environment()))
            _known = _Known(now, tuple(sorted(found, key=len, reverse=True)))
        return _known.secrets


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


def without_secrets(
    about: Mapping[str, Any], texts: Sequence[bytes], secrets: Sequence[str]
) -> tuple[dict[str, Any], list[bytes]]:
    """How a run was made, without keys.

    An input that holds one is left out as a whole: with `HIDDEN` in its place it would be another
    input, and a run that runs again must be given it.

    Args:
        about: What `blueprint.described` gave.
        texts: The texts that it names by their place.
        secrets: The keys, as `secrets_of` gives them.

    Returns:
        The same without the keys and those inputs.
    """
    kept: list[bytes] = []
    inputs: dict[str, Any] = {}
    for name, said in about["inputs"].items():
        place = next((p for p in ("context", "text") if isinstance(said.get(p), int)), None)
        text = b"" if place is None else texts[said[place]]
        if _holds_secret(said, text, secrets):
            inputs[name] = _left_out(said)
        elif place is None:
            inputs[name] = said
        else:
            inputs[name] = {**said, place: len(kept)}
            kept.append(text)
    rest = {name: _cleaned(value, secrets) for name, value in about.items() if name != "inputs"}
    return {**rest, "inputs": inputs}, kept


def _holds_secret(said: Mapping[str, Any], text: bytes, secrets: Sequence[str]) -> bool:
    written = json.dumps(said, ensure_ascii=False)
    if "plain" in said:  # bytes stand in it otherwise
        written += repr(from_plain_json(said["plain"]))
    return any(
        secret in written or secret.encode("utf-8", "surrogatepass") in text for secret in secrets
    )


def _left_out(said: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in the record for an input, as `blueprint.inputs_of` and `resuming` read it."""
    why = "that holds a key, which is never recorded"
    if "context" in said:
        return {"context": None, "says": f"a context {why}"}
    is_text = "text" in said or isinstance(said.get("plain"), str)
    return {"kind": f"{'text' if is_text else 'value'} {why}"}


def _cleaned(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        return redacted(value, secrets)
    if isinstance(value, dict):
        return {_cleaned(key, secrets): _cleaned(held, secrets) for key, held in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(held, secrets) for held in value]
    return value


def answer_lacks_secret(events: Iterable[Event]) -> bool:
    """Whether `HIDDEN` stands in what a recorded run answered.

    Args:
        events: The run's events.
    """
    answers = (Submitted, Extracted, Answered, LookedUp)
    return any(
        isinstance(event, answers) and not event.run and HIDDEN in as_json(event)
        for event in events
    )


def lacks_secret(stored: Any) -> bool:
    """Whether `HIDDEN` stands in what a recorded run may go by when it runs again.

    Args:
        stored: The run, as `Stored` has it.
    """
    said = (output for output in stored.outputs.values() if output is not None)
    return (
        HIDDEN in json.dumps(stored.about)
        or any(HIDDEN in output for output in said)
        or any(HIDDEN in as_json(event) for event in stored.events)
    )


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
