"""A run in a terminal: each step's code and output, and live what it does and what it has cost.

Events are read by their `kind` alone, so that this module loads neither dspy nor pydantic. What a
model or a document wrote never reaches the terminal with control characters in it.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from rlm_dspy.view.progress import Progress
from rlm_dspy.view.text import clock, counted, printable

if TYPE_CHECKING:
    from rlm_dspy.events import Event

OUTPUT_LINES = 4
REASONING_LINES = 2
CODE_LINES = 20
# Named colours of the terminal's own palette: they suit a dark and a light one.
CODE_THEME = "ansi_dark"


class TerminalView:
    """Draws a run while it goes on.

    Args:
        console: Where to draw; nothing moves where it is not a terminal.
        steps: Whether each step's code and output stay on the screen; None: in a terminal only, and
            of long code its first lines.
        enabled: False draws nothing at all.
    """

    def __init__(self, console: Console, *, steps: bool | None = None, enabled: bool = True):
        self._console = console
        self._moves = enabled and console.is_terminal and not console.is_dumb_terminal
        self._steps = enabled and (console.is_terminal if steps is None else steps)
        self._code_lines = CODE_LINES if steps is None else None
        self._spinner = Spinner("dots")
        self._live: Live | None = None
        self.progress = Progress()

    def listen(self, event: "Event") -> None:
        """Takes one event of the run."""
        self.progress.take(event)
        if self._steps and not event.run and event.kind in ("planned", "executed"):
            self._console.print(self._step(event))

    def note(self, text: str) -> None:
        """Says something at once."""
        self.progress.note = text
        if not self._moves:
            self._console.print(Text(text))

    @contextmanager
    def live(self) -> Generator[None]:
        """Draws until the block ends, and leaves nothing of what moves behind."""
        if not self._moves:
            yield
            return
        self._live = self._drawing()
        try:
            yield
        finally:
            self._live.stop()

    @contextmanager
    def paused(self) -> Generator[None]:
        """While the block runs, nothing moves: there a question may be asked."""
        if self._live is None:
            yield
            return
        self._live.stop()
        try:
            yield
        finally:
            # A new one: the old one would draw over the lines that were written meanwhile.
            self._live = self._drawing()

    def _drawing(self) -> Live:
        live = Live(
            get_renderable=self._drawn,
            console=self._console,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
        )
        live.start()
        return live

    def _drawn(self) -> Group:
        progress = self.progress
        self._spinner.update(text=_one_line(progress.doing(), "cyan"))
        lines: list[Any] = [self._spinner]
        if progress.line:
            lines.append(_one_line(f"  › {printable(progress.line)}", "dim"))
        lines.append(_one_line(f"  {progress.spent()}", "dim"))
        if progress.note:
            lines.append(_one_line(f"  {progress.note}", "yellow"))
        return Group(*lines)

    def _step(self, event: Any) -> Text:
        """What of a step stays on the screen."""
        if event.kind == "planned":
            said = shortened(event.reasoning, REASONING_LINES)
            parts = [_plain(said, "dim italic")] if said else []
            parts += self._code(printable(event.code.strip() or "(no code)"))
            return _labelled(f"step {event.step}", parts)
        if event.outcome == "submit":
            parts = [Text("submitted", "dim")]
        else:
            style = "red" if event.outcome == "error" else "dim"
            parts = [_plain(shortened(event.output), style)]
        return _labelled("", parts + self._asked(event))

    def _code(self, code: str) -> list[Text]:
        """The code, coloured in a terminal, and how much of it was left out."""
        lines = code.splitlines()
        shown = "\n".join(lines[: self._code_lines])
        left = len(lines[self._code_lines or len(lines) :])
        more = [Text(f"… {counted(left, 'more line')}", "dim")] if left else []
        if not self._console.is_terminal:
            return [Text(shown, "bold"), *more]
        from rich.syntax import Syntax

        coloured = Syntax("", "python", theme=CODE_THEME).highlight(shown)
        coloured.rstrip()
        return [coloured, *more]

    def _asked(self, event: Any) -> list[Text]:
        """The sub-queries of a step that has ended; none where it had none."""
        progress = self.progress
        if not progress.asked:
            return []
        parts = [counted(progress.asked, "sub-query")]
        if progress.failed:
            parts.append(f"{progress.failed:,} failed")
        parts.append(clock(event.seconds))
        return [Text(" · ".join(parts), "cyan dim")]


def _one_line(text: str, style: str) -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _plain(lines: Sequence[str], style: str) -> Text:
    return Text("\n".join(printable(line) for line in lines), style)


def _labelled(label: str, parts: Sequence[Text]) -> Text:
    """Texts below each other, with a label to the left of the first line."""
    body = Text("\n").join(parts)
    lines = Text("\n          ").join(body.split("\n", allow_blank=True))
    return Text.assemble((f"  {label:<8}", "cyan"), lines)


def shortened(output: str, lines: int = OUTPUT_LINES, width: int = 200) -> list[str]:
    """The first lines of an output, each cut, and how many were left out."""
    found = [line for line in output.splitlines() if line.strip()]
    shown = [line if len(line) <= width else f"{line[: width - 1]}…" for line in found[:lines]]
    return shown + ([f"… {counted(len(found) - lines, 'more line')}"] if len(found) > lines else [])
