"""How far a run is, from its events: the numbers of a live view, without any terminal.

Events are read by their `kind` alone, so that this module loads neither dspy nor pydantic.
"""

import time
from typing import TYPE_CHECKING, Any

from rlm_dspy.coverage import Interval, merged, size
from rlm_dspy.view.text import clock, counted

if TYPE_CHECKING:
    from rlm_dspy.events import Event

_BAR_CELLS = 20
# From how many ranges on those of a document are merged while more come in.
_MANY_RANGES = 64


class Progress:
    """How far a run is, from its events.

    Attributes:
        phase: What it is doing, in a few words.
        step: The planner's step, from 1; 0 before the first.
        asked: Sub-queries of this step.
        answered: Those that came back, answered or not.
        failed: Those that were not answered.
        calls: Attempts at a model so far, what the cache answered left out.
        tokens: Their tokens.
        dollars: Their cost, in US dollars.
        limits: The limits that are set, by their names in `Budget`.
        line: The line of code that runs.
        note: Something the user should know now; empty otherwise.
    """

    def __init__(self, phase: str = "loading"):
        self.phase = phase
        self.step = 0
        self.asked = self.answered = self.failed = 0
        self.calls = self.tokens = 0
        self.dollars = 0.0
        self.limits: dict[str, float] = {}
        self.line = ""
        self.note = ""
        self._code = ""
        self._read = _Reading()
        self._started = time.monotonic()

    def take(self, event: "Event") -> None:
        """Takes one event; called in the run's thread, while another one draws."""
        # Of a sub-run only what it costs: to the run it is one sub-query.
        if event.run and event.kind != "charged":
            return
        self._read.take(event)
        handler = getattr(self, f"_{event.kind}", None)
        if handler is not None:
            handler(event)

    def doing(self) -> str:
        """What it is doing, in one line."""
        parts = [f"step {self.step}"] if self.step else []
        parts.append(self.phase)
        if self.asked:
            done = f"{self.answered:,} of {counted(self.asked, 'sub-query')}"
            parts.append(f"{bar(self.answered / self.asked)} {done}")
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        return " · ".join(parts)

    def spent(self) -> str:
        """What it has spent, of what it may, and what it has read, in one line."""
        seconds = time.monotonic() - self._started
        dollars, longest = f"${self.dollars:.4f}", clock(self.limits.get("seconds", 0))
        parts = [
            self._of("calls", counted(self.calls, "call"), f"{self.calls:,}", "{:,.0f} calls"),
            self._of("tokens", counted(self.tokens, "token"), f"{self.tokens:,}", "{:,.0f} tokens"),
            self._of("dollars", dollars if self.dollars else "", dollars, "${:,.2f}"),
            self._of("seconds", clock(seconds), clock(seconds), longest),
        ]
        if self._read.characters:
            parts.append(f"{self._read.share():.1%} read")
        return " · ".join(filter(None, parts))

    def _of(self, name: str, alone: str, number: str, limit: str) -> str:
        most = self.limits.get(name)
        return alone if most is None else f"{number} of {limit.format(most)}"

    def _run_started(self, event: Any) -> None:
        self.limits = event.limits
        self._started = time.monotonic()  # as the limit of seconds counts
        self.phase = "planning" if event.planned_by == "model" else "answering"

    def _planned(self, event: Any) -> None:
        self.step = event.step
        self.asked = self.answered = self.failed = 0
        self._code, self.line = event.code, first_line(event.code)
        self.phase = "running"

    def _sub_query_started(self, event: Any) -> None:
        self.asked += 1
        self.line = line_with(self._code, event.operator) or self.line

    def _sub_query_answered(self, event: Any) -> None:
        self.answered += 1

    def _sub_query_failed(self, event: Any) -> None:
        self.answered += 1
        self.failed += 1

    def _executed(self, event: Any) -> None:
        self.line, self.phase = "", "planning"

    def _extracted(self, event: Any) -> None:
        self.phase = "ending"

    def _run_ended(self, event: Any) -> None:
        self.line, self.phase = "", "done"

    def _charged(self, event: Any) -> None:
        self.calls += not event.cache_hit
        self.tokens += event.prompt_tokens + event.completion_tokens
        self.dollars += event.dollars


class _Reading:
    """What of the documents models have read so far; a matched range is not read."""

    def __init__(self):
        self.characters = 0
        self._ranges: dict[int, list[Interval]] = {}
        self._merge_at = _MANY_RANGES

    def take(self, event: Any) -> None:
        documents = getattr(event, "documents", ())
        self.characters = sum(length for _, length in documents) or self.characters
        for kind in ("sent", "printed"):
            for document, start, end in getattr(event, kind, None) or ():
                found = self._ranges.setdefault(document, [])
                found.append((start, end))
                if len(found) >= self._merge_at:
                    self._ranges[document] = found = merged(found)
                    self._merge_at = max(self._merge_at, 2 * len(found))

    def share(self) -> float:
        """What part was read, from 0 to 1."""
        read = sum(size(merged(list(found))) for found in list(self._ranges.values()))
        return read / self.characters


def bar(share: float) -> str:
    """A part from 0 to 1 as a bar."""
    full = int(share * _BAR_CELLS)
    return "━" * full + "─" * (_BAR_CELLS - full)


def first_line(code: str) -> str:
    """The first line of code that says something."""
    lines = (line.strip() for line in code.splitlines())
    return next((line for line in lines if line and not line.startswith("#")), "")


def line_with(code: str, function: str) -> str:
    """The first line of code that calls a function; empty where none does."""
    return next((line.strip() for line in code.splitlines() if f"{function}(" in line), "")
