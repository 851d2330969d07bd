"""What an attempt at a model used, as dspy reports it."""

import contextlib
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dspy
from dspy.utils.usage_tracker import UsageTracker

from rlm_dspy.budget import Usage


@dataclass
class Tally:
    """What became of an attempt, as far as it came, however it ended.

    Args:
        usage: What it used; None where the LM reported nothing.
        headers: The response's headers, as far as the LM's engine keeps them.
        model: The model that answered, as its provider calls it; empty where that is not said.
        started: When the request was made, by the monotonic clock, in seconds.
    """

    usage: Usage | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long ago the request was made."""
        return round(time.monotonic() - self.started, 6)


class CallUsage(UsageTracker):
    """Tells a cache hit from a call: dspy reports usage for a call only, even if it is empty.

    Args:
        remembered: Whether the call enters the LM's history.
    """

    def __init__(self, *, remembered: bool):
        super().__init__()
        self.remembered = remembered
        self.live = False
        self.finished = False
        self.headers: Mapping[str, Any] = {}
        self.model = ""

    @contextlib.contextmanager
    def tracking(self, tally: Tally) -> Generator[None]:
        """Tracks what the block uses, for a tally and for the tracker around it."""
        parent = dspy.settings.usage_tracker
        try:
            with dspy.context(usage_tracker=self):
                yield
        finally:
            tally.usage, tally.headers, tally.model = self.usage(), self.headers, self.model
            if parent is not None:
                for name, entries in self.usage_data.items():
                    for entry in entries:
                        parent.add_usage(name, entry)

    def finish(self, entry: dict[str, Any]) -> bool:
        """Takes note of a call's entry for the history; whether it enters it."""
        self.finished = True
        self.headers = getattr(entry.get("response"), "_response_headers", None) or {}
        self.model = str(entry.get("response_model") or "")
        return self.remembered

    def add_usage(self, lm: str, usage_entry: dict[str, Any]) -> None:
        """Notes one call's usage."""
        self.live = True
        super().add_usage(lm, usage_entry)

    def usage(self) -> Usage | None:
        """The call's tokens, or None where nothing was reported."""
        totals = list(self.get_total_tokens().values())
        if not totals or all(row.get("prompt_tokens") is None for row in totals):
            return None
        return Usage(
            prompt_tokens=sum(_count(row, "prompt_tokens") for row in totals),
            completion_tokens=sum(_count(row, "completion_tokens") for row in totals),
            cached_tokens=sum(_count(row, "prompt_tokens_details.cached_tokens") for row in totals),
            reasoning_tokens=sum(
                _count(row, "completion_tokens_details.reasoning_tokens") for row in totals
            ),
        )


def _count(row: dict[str, Any], path: str) -> int:
    value: Any = row
    for name in path.split("."):
        value = (value or {}).get(name)
    return int(value or 0)
