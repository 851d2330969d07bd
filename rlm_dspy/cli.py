"""`rlm`: the command line.

Promised: `rlm --help` loads neither dspy nor litellm (each command imports what it needs); answers
go to standard output and everything else to standard error; what a user gets wrong is one line that
begins with `rlm: error:`; the exit codes are `ExitCode`'s: 0 completed, 2 usage, 3 partial, 4 no
answer, 5 configuration or provider, 130 interrupted.
"""

import io
import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rlm_dspy.asking import CALLS, SIGNATURE, STEPS, Asked, answer
from rlm_dspy.errors import RLMError
from rlm_dspy.outcome import ExitCode, Outcome, UsageError, exit_code_of
from rlm_dspy.view.text import printable

if TYPE_CHECKING:
    from rich.console import Console

DISTRIBUTION = "rlm-dspy-runtime"
LONGEST_ERROR = 600
DEFECT = "a defect of rlm itself: `python -X dev -m rlm_dspy` shows where"
MODEL_HELP = 'A LiteLLM name, "local" or "local/NAME".'

app = typer.Typer(
    name="rlm",
    help="Answer questions over inputs far longer than a model's window.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help in boxes takes 0.2 s of imports
    context_settings={"help_option_names": ["-h", "--help"]},
)
models_app = typer.Typer(
    help="The embedded models on this machine.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(models_app, name="models")
cache_app = typer.Typer(
    help="The models' answers on this machine.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(cache_app, name="cache")


class Route(StrEnum):
    """How a question is answered."""

    auto = "auto"
    direct = "direct"
    rlm = "rlm"


def main() -> None:
    """Runs the command line and exits."""
    code = run(sys.argv[1:])
    if "logging" in sys.modules:  # what was left behind is not the user's to read
        sys.modules["logging"].disable()
    raise SystemExit(code)


def run(arguments: list[str]) -> int:
    """Runs the command line.

    Args:
        arguments: What stands after `rlm`.

    Returns:
        The exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an answer may hold what it cannot encode
            stream.reconfigure(errors="replace")
    try:
        code = app(arguments, standalone_mode=False, prog_name="rlm")
    except typer.TyperException as error:
        return _refused(error.format_message(), ExitCode.USAGE)
    except RLMError as error:
        return _refused(str(error), exit_code_of(error))
    except (KeyboardInterrupt, typer.Abort):
        return ExitCode.INTERRUPTED
    except Exception as error:  # the outermost boundary: a user is shown a line, whatever broke
        if sys.flags.dev_mode:
            raise
        return _refused(f"{type(error).__name__}: {error} ({DEFECT})", ExitCode.NO_ANSWER)
    return code if isinstance(code, int) else ExitCode.COMPLETED


def _refused(message: str, code: int) -> int:
    said = message.partition("\nTraceback (most recent call last)")[0]
    line = printable(" ".join(said.split()))
    line = line if len(line) <= LONGEST_ERROR else f"{line[:LONGEST_ERROR]}…"
    print(f"rlm: error: {line}", file=sys.stderr)
    return code


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"rlm {version(DISTRIBUTION)}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


ModelName = Annotated[
    str | None, typer.Option(help=f"The model that plans. {MODEL_HELP} Default: RLM_MODEL.")
]
Paths = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PATH]...", help="Files and folders; none or - reads stdin."),
]
PATTERN_HELP = "as in .gitignore; may be repeated."


@app.command()
def ask(  # noqa: PLR0913 - a command's options are its arguments
    query: Annotated[str, typer.Argument(metavar="QUERY", help="The question.")],
    paths: Paths = None,
    model: ModelName = None,
    sub_model: Annotated[
        str | None, typer.Option(help="The model for sub-queries. Default: RLM_SUB_MODEL.")
    ] = None,
    signature: Annotated[str, typer.Option(help="Inputs and typed outputs.")] = SIGNATURE,
    recipe: Annotated[str | None, typer.Option(help="A built-in recipe's name, or a file.")] = None,
    route: Annotated[Route | None, typer.Option(help="How to answer. Default: rlm.")] = None,
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
    budget_dollars: Annotated[float | None, typer.Option(help="Most dollars to spend.")] = None,
    budget_tokens: Annotated[int | None, typer.Option(help="Most tokens.")] = None,
    budget_calls: Annotated[int, typer.Option(help="Most calls of models.")] = CALLS,
    budget_seconds: Annotated[float | None, typer.Option(help="Most seconds.")] = None,
    max_steps: Annotated[int, typer.Option(min=1, help="Most steps of the planner.")] = STEPS,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Pay for every answer, even one that is known.")
    ] = False,
    as_object: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the answer alone.")] = False,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", dir_okay=False, help="Write the run as one HTML page."),
    ] = None,
) -> int:
    """Answer a question over files, folders or standard input."""
    if html is not None and not html.parent.is_dir():
        raise UsageError(f"--html {str(html)!r}: there is no folder {str(html.parent)!r}.")
    asked = Asked(
        query=query,
        paths=tuple(paths or ()),
        model=model,
        sub_model=sub_model,
        signature=signature,
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
        paths_from_stdin=paths_from_stdin,
        cache=not no_cache,
    )
    from rlm_dspy.view.terminal import TerminalView

    view = TerminalView(_console(stderr=True), enabled=not quiet)
    with _quiet_libraries():
        with view.live():
            outcome = answer(asked, view.listen, view.note)
        code = _report(outcome, as_object=as_object, quiet=quiet)
        if html is not None and outcome.run is not None:
            from rlm_dspy.view.html import render

            html.write_text(render(outcome.run, title=query), encoding="utf-8")
        return code


def _report(outcome: Outcome, *, as_object: bool, quiet: bool) -> int:
    if outcome.run is None:
        return ExitCode.INTERRUPTED
    code = outcome.exit_code
    if as_object:
        _to_stdout(outcome.as_json())
    elif not outcome.empty:
        text = outcome.as_text()
        _to_stdout(printable(text) if sys.stdout.isatty() else text)
    if outcome.error:
        _refused(outcome.error, code)
    elif outcome.empty and not quiet:
        _to_stderr(f"rlm: no answer ({outcome.run.reason or 'the run found none'})")
    if not quiet:
        _print_left_out(outcome.skipped)
        if line := outcome.coverage_line():
            _to_stderr(line)
        _to_stderr(outcome.cost_line())
    return code


def _print_left_out(skipped: Sequence[tuple[str, str]]) -> None:
    if skipped:
        path, reason = skipped[0]
        more = f" and {len(skipped) - 1:,} more" if len(skipped) > 1 else ""
        _to_stderr(f"rlm: left out: {path} ({reason}){more}")


def _to_stdout(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Who reads it has had enough; Python would complain once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _to_stderr(line: str) -> None:
    print(printable(line), file=sys.stderr)


@contextmanager
def _quiet_libraries() -> Generator[None]:
    """Keeps what dspy, LiteLLM and others log or warn of out of the user's terminal."""
    import logging
    import warnings

    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _console(*, stderr: bool = False) -> "Console":
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


@app.command()
def grep(  # noqa: PLR0913 - a command's options are its arguments
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What lines are to mean.")],
    paths: Paths = None,
    model: Annotated[
        str | None, typer.Option(help=f"The model that judges. {MODEL_HELP} Default: RLM_MODEL.")
    ] = None,
    after: Annotated[int, typer.Option("-A", min=0, help="Lines shown after each.")] = 0,
    before: Annotated[int, typer.Option("-B", min=0, help="Lines shown before each.")] = 0,
    around: Annotated[int, typer.Option("-C", min=0, help="Lines shown on both sides.")] = 0,
    most: Annotated[int | None, typer.Option("-m", min=1, help="At most so many lines.")] = None,
    globs: Annotated[
        list[str] | None,
        typer.Option("-g", "--glob", help="Read what matches; with ! before it, what does not."),
    ] = None,
    judged: Annotated[int, typer.Option(min=1, help="Most lines that the model judges.")] = 200,
    budget_calls: Annotated[int, typer.Option(help="Most calls of models.")] = CALLS,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Pay for every answer, even one that is known.")
    ] = False,
    as_object: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the lines alone.")] = False,
) -> int:
    """Find the lines that mean what is looked for. Exits as grep: 0 found, 1 not found, 2 error."""
    from rlm_dspy import grepping
    from rlm_dspy.view.terminal import TerminalView

    globs = globs or []
    sought = grepping.Sought(
        query=query,
        paths=tuple(paths or ()),
        model=model,
        judged=judged,
        most=most,
        before=before or around,
        after=after or around,
        limits={"calls": budget_calls},
        reading={
            "include": [glob for glob in globs if not glob.startswith("!")],
            "exclude": [glob[1:] for glob in globs if glob.startswith("!")],
        },
        cache=not no_cache,
    )
    view = TerminalView(_console(stderr=True), enabled=not quiet)
    try:
        with _quiet_libraries(), view.live():
            found = grepping.grep(sought, view.listen, view.note)
    except RLMError as error:
        return _refused(str(error), grepping.FAILED)
    for text in found.as_json() if as_object else found.as_lines():
        _to_stdout(printable(text) if sys.stdout.isatty() else text)
    if not quiet:
        _print_left_out(found.skipped)
        _to_stderr(f"Judged {found.judged:,} lines, {found.left:,} not.")
    if found.problem:
        return _refused(found.problem, grepping.FAILED)
    return found.exit_code


@app.command()
def doctor() -> int:
    """Say what is there, what is missing and what to do about it."""
    from rlm_dspy.doctor import examined

    with _quiet_libraries():
        report = examined()
    report.print_to(_console())
    return ExitCode.COMPLETED if report.ready else ExitCode.CONFIGURATION


@app.command()
def demo(
    model: Annotated[str, typer.Option(help=f"The model. {MODEL_HELP}")] = "local",
    seed: Annotated[int, typer.Option(help="Which text and facts are made up.")] = 0,
    tokens: Annotated[
        int, typer.Option(min=2_000, help="How long the text is, about.")
    ] = 1_000_000,
    questions: Annotated[int, typer.Option(min=1, max=24, help="How many to ask.")] = 4,
) -> int:
    """Hide facts in a long text, ask a model for them, and check what it says."""
    from rlm_dspy.showing import shown

    with _quiet_libraries():
        return shown(_console(), model, seed, tokens, questions)


@cache_app.command("stats")
def show_cache() -> None:
    """Show where the answers lie, how many they are, and how much room they take."""
    from rlm_dspy.caching import cache_stats

    stats = cache_stats()
    _to_stdout(f"folder   {stats.folder or '(none: answers are kept in memory only)'}")
    _to_stdout(f"answers  {stats.answers:,}")
    _to_stdout(f"size     {stats.size / 1e6:,.1f} of at most {stats.limit / 1e6:,.0f} MB")


@cache_app.command("clear")
def forget_answers() -> None:
    """Forget every answer."""
    from rlm_dspy.caching import clear_cache
    from rlm_dspy.view.text import counted

    _to_stdout(f"{counted(clear_cache(), 'answer')} forgotten")


@models_app.command("list")
def list_models() -> None:
    """List the embedded models: what is here, and what can be fetched."""
    from rlm_dspy.models import KNOWN, available, models_dir

    present = dict(available())
    for weights in KNOWN:
        path = present.pop(weights.name, None)
        does = "plans" if weights.plans else "follows recipes"
        where = path or f"not here: rlm models pull {weights.name}"
        size = weights.size / 1e6
        _to_stdout(f"local/{weights.name:<20} {size:>7,.0f} MB  {does:<15}  {where}")
    for name, path in present.items():
        size = path.stat().st_size / 1e6
        _to_stdout(f"local/{name:<20} {size:>7,.0f} MB  {'':<15}  {path}")
    _to_stderr(f"Models folder: {models_dir()}")


@models_app.command("pull")
def pull_model(
    name: Annotated[str, typer.Argument(help="A name from the list, or REPO:FILE.gguf.")],
) -> None:
    """Fetch a model's official file, unless it is here."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    from rlm_dspy.models import pull
    from rlm_dspy.models.weights import known, models_dir

    weights = known(name)
    if weights is not None:
        size = f"{weights.size / 1e6:,.0f} MB"
        _to_stderr(f"{weights.file} of {weights.repo}, {size}, into {models_dir()}")
    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with _quiet_libraries(), Progress(*columns, console=_console(stderr=True)) as bar:
        task = bar.add_task(name, total=weights.size if weights is not None else None)
        path = pull(name, lambda done, total: bar.update(task, completed=done, total=total or None))
    _to_stdout(str(path))


@models_app.command("path")
def model_path(
    name: Annotated[str | None, typer.Argument(help="A model; none: the folder of all.")] = None,
) -> None:
    """Print where a model lies."""
    from rlm_dspy.models import find, models_dir

    found: Path = models_dir() if name is None else find(name)
    _to_stdout(str(found))
