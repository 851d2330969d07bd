"""`rlm ask`: answers a question over files, folders or standard input."""

import json
import sys
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rlm_dspy.asking import CALLS, SIGNATURE, STEPS, Asked, answer
from rlm_dspy.commands.arguments import (
    PATTERN_HELP,
    LocalOnly,
    ModelName,
    NoCache,
    Paths,
    commands,
)
from rlm_dspy.commands.output import (
    console,
    for_stdout,
    print_left_out,
    quiet_libraries,
    refused,
    to_stderr,
    to_stdout,
)
from rlm_dspy.foreseeing import Foreseen, threshold
from rlm_dspy.outcome import ExitCode, Outcome, UsageError

if TYPE_CHECKING:
    from rlm_dspy.view.terminal import TerminalView

app = commands()


class Route(StrEnum):
    """How a question is answered."""

    auto = "auto"
    direct = "direct"
    rlm = "rlm"


@app.command()
def ask(  # noqa: PLR0913 - a command's options are its arguments
    query: Annotated[str, typer.Argument(metavar="QUERY", help="The question.")],
    paths: Paths = None,
    model: ModelName = None,
    sub_model: Annotated[
        str | None, typer.Option(help="The model for sub-queries. Default: RLM_SUB_MODEL.")
    ] = None,
    signature: Annotated[str, typer.Option(help="Inputs and typed outputs.")] = SIGNATURE,
    cite: Annotated[
        bool, typer.Option("--cite", help="Quote the sources, each verified in the input.")
    ] = False,
    recipe: Annotated[str | None, typer.Option(help="A recipe's name, or a file.")] = None,
    route: Annotated[Route | None, typer.Option(help="How to answer. Default: auto.")] = None,
    include: Annotated[
        list[str] | None, typer.Option(help=f"Read only files that match, {PATTERN_HELP}")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help=f"Leave out what matches, {PATTERN_HELP}")
    ] = None,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", help="Read only a kind or extension: pdf, mail, log, py, …"),
    ] = None,
    hidden: Annotated[bool, typer.Option("--hidden", help="Read hidden files too.")] = False,
    paths_from_stdin: Annotated[
        bool, typer.Option("--paths-from-stdin", help="Take paths from stdin, one a line.")
    ] = False,
    urls: Annotated[bool, typer.Option("--urls", help="Fetch paths that are URLs.")] = False,
    vision_model: Annotated[
        str | None, typer.Option(help="A model that reads images and scanned pages.")
    ] = None,
    embedding_model: Annotated[
        str | None, typer.Option(help="A model on this machine to search by meaning with.")
    ] = None,
    local_only: LocalOnly = False,
    mcp: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Let code call tools of the MCP servers in this file."),
    ] = None,
    budget_dollars: Annotated[float | None, typer.Option(help="Most dollars to spend.")] = None,
    budget_tokens: Annotated[int | None, typer.Option(help="Most tokens.")] = None,
    budget_calls: Annotated[int, typer.Option(help="Most calls of models.")] = CALLS,
    budget_seconds: Annotated[float | None, typer.Option(help="Most seconds.")] = None,
    max_steps: Annotated[int, typer.Option(min=1, help="Most steps of the planner.")] = STEPS,
    no_cache: NoCache = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Never ask before a job that may cost much.")
    ] = False,
    as_object: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    as_events: Annotated[
        bool,
        typer.Option(
            "--json-events", help="Print each event as JSON, one a line; last the result."
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the answer alone.")] = False,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", dir_okay=False, help="Write the run as one HTML page."),
    ] = None,
) -> int:
    """Answer a question over files, folders or standard input."""
    if html is not None:
        _refuse_unwritable(html)
    asked = Asked(
        query=query,
        paths=tuple(paths or ()),
        model=model,
        sub_model=sub_model,
        signature=signature,
        cite=cite,
        recipe=recipe,
        route=route.value if route is not None else None,
        limits={
            "dollars": budget_dollars,
            "tokens": budget_tokens,
            "calls": budget_calls,
            "seconds": budget_seconds,
            "steps": max_steps,
        },
        reading={
            "include": include or (),
            "exclude": exclude or (),
            "types": types or (),
            "hidden": hidden,
            "urls": urls,
        },
        vision_model=vision_model,
        embedding_model=embedding_model,
        paths_from_stdin=paths_from_stdin,
        cache=not no_cache,
        local_only=local_only,
        mcp=str(mcp) if mcp is not None else None,
    )
    from rlm_dspy.view.event_lines import EventLines
    from rlm_dspy.view.terminal import TerminalView

    view = TerminalView(console(stderr=True), enabled=not (quiet or as_events))
    lines = EventLines(_print_event)
    confirm = partial(_confirm, view, yes=yes, quiet=quiet)
    with quiet_libraries():
        with lines.writing(), view.live():
            listen = lines.listen if as_events else view.listen
            outcome = answer(asked, listen, view.note, confirm)
        code = _report(outcome, as_object=as_object or as_events, quiet=quiet)
        if html is not None and outcome.run is not None:
            from rlm_dspy.view.html import render

            try:
                html.write_text(render(outcome.run, title=query), "utf-8", errors="replace")
            except OSError as error:
                raise _unwritable(html, error) from error
        return code


def _refuse_unwritable(html: Path) -> None:
    """Refuses a page that cannot be written, before anything is paid for it.

    Raises:
        UsageError: It cannot be.
    """
    if not html.parent.is_dir():
        raise UsageError(f"--html {str(html)!r}: there is no folder {str(html.parent)!r}.")
    page = html.resolve()
    is_new = not page.exists()
    if not is_new and not page.is_file():  # a pipe may be opened once only
        return
    try:
        page.open("ab").close()
        if is_new:
            page.unlink()
    except OSError as error:
        raise _unwritable(html, error) from error


def _unwritable(html: Path, error: OSError) -> UsageError:
    return UsageError(
        f"--html {str(html)!r} cannot be written: {error.strerror or error}. Name another file."
    )


def _print_event(line: str) -> None:
    """Prints an event; a number that JSON does not have is null."""
    if "NaN" in line or "Infinity" in line:
        line = json.dumps(json.loads(line, parse_constant=lambda _: None))
    to_stdout(line)


def _confirm(view: "TerminalView", job: Foreseen, *, yes: bool, quiet: bool) -> None:
    """Says what a large job may cost, and asks where that is much.

    Raises:
        UsageError: It would have to be asked, and nobody is there to answer.
        typer.Abort: The user does not want it.
    """
    asks = not yes and job.dollars > (most := threshold())
    if asks and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            f"{job}. That is more than ${most:,.2f} (RLM_CONFIRM_DOLLARS), and nobody can be asked "
            "here: give --yes, or a lower limit such as --budget-dollars 0.50."
        )
    with view.paused():
        if asks or not quiet:
            to_stderr(f"rlm: {job}")
        if asks:
            typer.confirm("Go on?", abort=True, err=True)


def _report(outcome: Outcome, *, as_object: bool, quiet: bool) -> int:
    if outcome.run is None:
        return ExitCode.INTERRUPTED
    code = outcome.exit_code
    if as_object:
        to_stdout(outcome.as_json())
    elif not outcome.empty:
        text = outcome.as_text()
        to_stdout(for_stdout(text))
    if outcome.error:
        refused(outcome.error, code)
    elif outcome.empty and not quiet:
        to_stderr(f"rlm: no answer ({outcome.run.reason or 'the run found none'})")
    if not quiet:
        print_left_out(outcome.skipped)
        if line := outcome.coverage_line():
            to_stderr(line)
        to_stderr(outcome.cost_line())
    return code
