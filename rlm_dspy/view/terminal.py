"""A run in a terminal, live: what it is doing, how far it is, what it has cost so far.

`Progress` turns events into a few numbers and knows nothing of terminals; `TerminalView` draws it.
Both read events by their `kind` alone, so that this module loads neither dspy nor pydantic. What a
model or a document wrote never reaches the terminal with control characters in it.
"""

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from rlm_dspy.view.text import clock, counted, printable

if TYPE_CHECKING:
    from rlm_dspy.events import Event

OUTPUT_LINES = 4


class Progress:
    """How far a run is, from its events.

    Attributes:
        phase: What it is doing, in a few words.
        step: The planner's step, from 1; 0 before the first.
        asked: Sub-queries of this step.
        answered: Those that came back, answered or not.
        calls: Attempts at a model so far.
        tokens: Their tokens.
        dollars: Their cost, in US dollars.
        line: The line of code that runs.
        note: Something the user should know now; empty otherwise.
    """

    def __init__(self, phase: str = "loading"):
        self.phase = phase
        self.step = 0
        self.asked = self.answered = 0
        self.calls = self.tokens = 0
        self.dollars = 0.0
        self.line = ""
        self.note = ""
        self._code = ""
        self._started = time.monotonic()

    def take(self, event: "Event") -> None:
        """Takes one event; called in the run's thread, while another one draws."""
        # Of a sub-run only what it costs: to the run it is one sub-query.
        handler = getattr(self, f"_{event.kind}", None)
        if handler is not None and (not event.run or event.kind == "charged"):
            handler(event)

    def summary(self) -> str:
        """The numbers in one line."""
        parts = [self.phase]
        if self.step:
            parts.insert(0, f"step {self.step}")
        if self.asked:
            parts.append(f"{self.answered}/{counted(self.asked, 'sub-query')}")
        parts.append(counted(self.tokens, "token"))
        parts.append(f"${self.dollars:.4f}")
        parts.append(clock(time.monotonic() - self._started))
        return " · ".join(parts)

    def _run_started(self, event: Any) -> None:
        self.phase = "planning" if event.planned_by == "model" else "answering"

    def _planned(self, event: Any) -> None:
        self.step = event.step
        self.asked = self.answered = 0
        self._code, self.line = event.code, first_line(event.code)
        self.phase = "running"

    def _sub_query_started(self, event: Any) -> None:
        self.asked += 1
        self.line = line_with(self._code, event.operator) or self.line

    def _sub_query_answered(self, event: Any) -> None:
        self.answered += 1

    _sub_query_failed = _sub_query_answered

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


def first_line(code: str) -> str:
    """The first line of code that says something."""
    lines = (line.strip() for line in code.splitlines())
    return next((line for line in lines if line and not line.startswith("#")), "")


def line_with(code: str, function: str) -> str:
    """The first line of code that calls a function; empty where none does."""
    return next((line.strip() for line in code.splitlines() if f"{function}(" in line), "")


class TerminalView:
    """Draws a run while it goes on.

    Args:
        console: Where to draw; nothing moves where it is not a terminal.
        steps: Whether each step's code and output stay on the screen.
        enabled: False draws nothing at all.
    """

    def __init__(self, console: Console, *, steps: bool = False, enabled: bool = True):
        self._console = console
        self._steps = steps and enabled
        self._moves = enabled and console.is_terminal and not console.is_dumb_terminal
        self._spinner = Spinner("dots")
        self.progress = Progress()

    def listen(self, event: "Event") -> None:
        """Takes one event of the run."""
        self.progress.take(event)
        if self._steps and event.kind in ("planned", "executed"):
            self._console.print(_step(event))

    def note(self, text: str) -> None:
        """Says something at once."""
        self.progress.note = text
        if not self._moves:
            self._console.print(Text(text))

    @contextmanager
    def live(self) -> Generator[None]:
        """Draws until the block ends, and leaves nothing of it behind."""
        if not self._moves:
            yield
            return
        with Live(
            get_renderable=self._drawn,
            console=self._console,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
        ):
            yield

    def _drawn(self) -> Group:
        progress = self.progress
        self._spinner.update(text=_one_line(progress.summary(), "cyan"))
        lines: list[Any] = [self._spinner]
        if progress.line:
            lines.append(_one_line(f"  › {printable(progress.line)}", "dim"))
        if progress.note:
            lines.append(_one_line(f"  {progress.note}", "yellow"))
        return Group(*lines)


def _one_line(text: str, style: str) -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _step(event: Any) -> Text:
    if event.kind == "planned":
        code = event.code.strip() or "(no code)"
        return _indented(f"step {event.step}", code.splitlines(), "bold")
    if event.outcome == "submit":
        return Text("          submitted", style="dim")
    return _indented("", shortened(event.output), "red" if event.outcome == "error" else "dim")


def shortened(output: str, lines: int = OUTPUT_LINES, width: int = 200) -> list[str]:
    """The first lines of an output, each cut, and how many were left out."""
    found = [line for line in output.splitlines() if line.strip()]
    shown = [line if len(line) <= width else f"{line[: width - 1]}…" for line in found[:lines]]
    return shown + ([f"… {counted(len(found) - lines, 'more line')}"] if len(found) > lines else [])


def _indented(label: str, lines: Sequence[str], style: str) -> Text:
    body = "\n          ".join(printable(line) for line in lines)
    return Text.assemble((f"  {label:<8}", "cyan"), (body, style))
