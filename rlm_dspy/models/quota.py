"""What a provider's response headers say of its rate limits.

The names are OpenAI's (`x-ratelimit-remaining-requests`, `x-ratelimit-reset-requests: 6m0s`), which
many servers use, and Anthropic's (`anthropic-ratelimit-requests-remaining`,
`anthropic-ratelimit-requests-reset: 2026-01-27T12:00:10Z`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

Unit = Literal["requests", "tokens"]
UNITS: tuple[Unit, ...] = ("requests", "tokens")

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


@dataclass(frozen=True)
class Quota:
    """How much of a limit is left.

    Args:
        left: How many more requests or tokens are allowed until then.
        seconds: How long until the limit is whole again.
    """

    left: float
    seconds: float


def quotas(headers: Mapping[str, Any], now: datetime | None = None) -> dict[Unit, Quota]:
    """The limits that a response's headers speak of.

    Args:
        headers: The headers; values may be text or lists of text.
        now: The time to which points of time are compared; the present by default.

    Returns:
        A quota for each unit whose headers say both what is left and until when.
    """
    given = {str(name).lower(): _first(value) for name, value in headers.items()}
    found: dict[Unit, Quota] = {}
    for unit in UNITS:
        for left, reset in (
            (f"x-ratelimit-remaining-{unit}", f"x-ratelimit-reset-{unit}"),
            (f"anthropic-ratelimit-{unit}-remaining", f"anthropic-ratelimit-{unit}-reset"),
        ):
            seconds = _seconds(given.get(reset, ""), now)
            if seconds is not None and re.fullmatch(r"\d+(\.\d+)?", given.get(left, "")):
                found[unit] = Quota(float(given[left]), seconds)
    return found


def _first(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        value = value[0] if value else ""
    return str(value).strip()


def _seconds(text: str, now: datetime | None) -> float | None:
    """A duration such as "6m0s", "1.5" or a point of time, in seconds from now."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if text and _DURATION.sub("", text) == "":
        return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - (now or datetime.now(UTC))).total_seconds())
