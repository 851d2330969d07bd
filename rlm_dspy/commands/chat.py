"""`rlm chat`: many questions about the same files, one REPL."""

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from rlm_dspy.asking import CALLS, SIGNATURE, STEPS, Asked
from rlm_dspy.chatting import Talk, opened
from rlm_dspy.commands.arguments import LocalOnly, ModelName, NoCache, commands
from rlm_dspy.commands.ask import _report
from rlm_dspy.commands.output import (
    console,
    for_stdout,
    print_left_out,
    quiet_libraries,
    refused,
    to_stderr,
    to_stdout,
)
from rlm_dspy.errors import RLMError
from rlm_dspy.outcome import ExitCode, Outcome, exit_code_of
from rlm_dspy.view.text import counted

app = commands()

PROMPT = "› "
HELP = "/vars  what the REPL holds    /cost  what was spent    /runs  the questions    /quit"
HISTORY_LINES = 1_000


@app.command()
def chat(  # noqa: PLR0913 - a command's options are its arguments
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="[PATH]...", help="Files and folders.")
    ] = None,
    model: ModelName = None,
    sub_model: Annotated[
        str | None, typer.Option(help="The model for sub-queries. Default: RLM_SUB_MODEL.")
    ] = None,
    signature: Annotated[str, typer.Option(help="Inputs and typed outputs.")] = SIGNATURE,
    recipe: Annotated[str | None, typer.Option(help="A built-in recipe's name, or a file.")] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="SESSION", help="Go on with a recorded session.")
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="Go on with the newest session.")] = False,
    local_only: LocalOnly = False,
    budget_dollars: Annotated[float | None, typer.Option(help="Most dollars a question.")] = None,
    budget_calls: Annotated[
        int | None, typer.Option(help=f"Most calls of models a question; {CALLS:,} by default.")
    ] = None,
    budget_seconds: Annotated[float | None, typer.Option(help="Most seconds a question.")] = None,
    max_steps: Annotated[
        int | None, typer.Option(min=1, help=f"Most steps a question; {STEPS} by default.")
    ] = None,
    session_dollars: Annotated[float | None, typer.Option(help="Most dollars in all.")] = None,
    session_calls: Annotated[int | None, typer.Option(help="Most calls in all.")] = None,
    no_cache: NoCache = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print answers alone.")] = False,
) -> int:
    """Ask many questions about files or folders: a prompt, or one question a line of stdin."""
    asked = Asked(
        query="",
        paths=tuple(paths or ()),
        model=model,
        sub_model=sub_model,
        signature=signature,
        recipe=recipe,
        limits={
            "dollars": budget_dollars,
            "calls": budget_calls,
            "seconds": budget_seconds,
            "steps": max_steps,
        },
        cache=not no_cache,
        local_only=local_only,
    )
    whole = {"dollars": session_dollars, "calls": session_calls}
    from rlm_dspy.view.terminal import TerminalView

    view = TerminalView(console(stderr=True), enabled=not quiet)
    wanted = "" if last and resume is None else resume
    with quiet_libraries(), opened(asked, wanted, whole, view.note) as talk:
        loop = _Loop(talk, quiet=quiet)
        if not quiet:
            loop.introduce()
        if talk.session.unfinished is not None:
            loop.finish()
        with _lines() as lines:
            for line in lines:
                if not loop.take(line):
                    break
        return loop.code


class _Loop:
    """Takes one line after the other.

    Args:
        talk: Who answers.
        quiet: Whether answers alone are printed.

    Attributes:
        code: What to exit with: that of the last question that was not answered, if any was not.
    """

    def __init__(self, talk: Talk, *, quiet: bool):
        self._talk = talk
        self._quiet = quiet
        self.code = int(ExitCode.COMPLETED)

    def introduce(self) -> None:
        """Says what this is."""
        session, asked = self._talk.session, len(self._talk.session.answers)
        print_left_out(self._talk.skipped)
        before = f", {counted(asked, 'question')} so far" if asked else ""
        to_stderr(f"Session {session.id}{before}. {HELP}")

    def finish(self) -> None:
        """Goes on with what was asked when the process died."""
        to_stderr(f"Going on with: {self._talk.session.unfinished}")
        self._answer(self._talk.finish)

    def take(self, line: str) -> bool:
        """Does what a line says; False where that is to end."""
        said = line.strip()
        if said.startswith("/"):
            return self._obey(said.split()[0].lower())
        if said:
            self._answer(lambda listen, note: self._talk.ask(said, listen, note))
        return True

    def _obey(self, command: str) -> bool:
        if command in ("/quit", "/exit", "/q"):
            return False
        shown = {"/vars": self._vars, "/cost": self._cost, "/runs": self._runs}.get(command)
        for text in shown() if shown is not None else [HELP]:
            to_stdout(for_stdout(text))
        return True

    def _answer(self, ask: Callable[..., Outcome]) -> None:
        from rlm_dspy.view.terminal import TerminalView

        view = TerminalView(console(stderr=True), enabled=not self._quiet)
        try:
            with view.live():
                outcome = ask(view.listen, view.note)
        except RLMError as error:
            self.code = refused(str(error), exit_code_of(error))
            return
        if outcome.run is None:
            to_stderr("Stopped: the session is as it was before the question.")
            self.code = ExitCode.INTERRUPTED
            return
        self.code = _report(outcome, as_object=False, quiet=self._quiet) or self.code

    def _vars(self) -> Iterator[str]:
        found = self._talk.session.vars()
        yield from (f"{name}: {said}" for name, said in found.items())
        if not found:
            yield "(nothing is defined yet)"

    def _cost(self) -> Iterator[str]:
        spent = self._talk.session.spent
        parts = [counted(int(spent[n]), n.removesuffix("s")) for n in ("steps", "calls", "tokens")]
        yield " · ".join([*parts, f"${spent['dollars']:.4f}", f"{spent['seconds']:.1f} s"])

    def _runs(self) -> Iterator[str]:
        for number, (question, result) in enumerate(self._talk.session.answers, 1):
            yield f"{number}. {result.run.id}  {result.run.status:<9}  {question}"
        if not self._talk.session.answers:
            yield "(no question was answered yet)"


@contextmanager
def _lines() -> Generator[Iterator[str]]:
    """The lines of standard input: asked for at a terminal, with a history, else read as piped."""
    if not sys.stdin.isatty():
        yield iter(sys.stdin)
        return
    with _history():
        yield _typed()


def _typed() -> Iterator[str]:
    while True:
        try:
            yield input(PROMPT)
        except EOFError:
            to_stderr("")
            return
        except KeyboardInterrupt:  # the line is given up, the conversation is not
            to_stderr("")


@contextmanager
def _history() -> Generator[None]:
    """Lets lines be edited and found again, where Python was built with readline."""
    try:
        import readline
    except ImportError:
        yield
        return
    from rlm_dspy.settings import data_dir, record_mode

    path = data_dir() / "chat_history"
    kept = record_mode() == "full"
    if kept and path.exists():
        readline.read_history_file(path)
    readline.set_history_length(HISTORY_LINES)
    try:
        yield
    finally:
        if kept:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
            readline.write_history_file(path)
