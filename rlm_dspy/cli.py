"""`rlm`: the command line.

Promised: `rlm --help` loads neither dspy nor litellm (each command imports what it needs); answers
go to standard output and everything else to standard error; what a user gets wrong is one line that
begins with `rlm: error:`; the exit codes are `ExitCode`'s: 0 completed, 2 usage, 3 partial, 4 no
answer, 5 configuration or provider, 130 interrupted.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rlm_dspy.asking import (
    CALLS,
    SIGNATURE,
    STEPS,
    answered,
    context_of,
    limits,
    models_of,
    question_of,
    recipe_of,
    rlm_of,
)
from rlm_dspy.errors import RLMError
from rlm_dspy.outcome import (
    ExitCode,
    as_json,
    as_text,
    cost_line,
    exit_code,
    exit_code_of,
    outputs_of,
)
from rlm_dspy.view.text import printable

if TYPE_CHECKING:
    from rich.console import Console

DISTRIBUTION = "rlm-dspy-runtime"
LONGEST_ERROR = 600
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


class Route(str, Enum):
    """How a question is answered."""

    auto = "auto"
    direct = "direct"
    rlm = "rlm"


def main() -> None:
    """Runs the command line and exits."""
    raise SystemExit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs the command line.

    Args:
        arguments: What stands after `rlm`.

    Returns:
        The exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # an answer may hold what the terminal cannot show
            stream.reconfigure(errors="replace")
    try:
        code = app(arguments, standalone_mode=False, prog_name="rlm")
        sys.stdout.flush()
    except typer.TyperException as error:
        return _refused(error.format_message(), ExitCode.USAGE)
    except RLMError as error:
        return _refused(str(error), exit_code_of(error))
    except (KeyboardInterrupt, typer.Abort):
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Who reads our output has enough; Python would complain once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.COMPLETED
    return code if isinstance(code, int) else ExitCode.COMPLETED


def _refused(message: str, code: ExitCode) -> int:
    line = printable(" ".join(message.split()))
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


@app.command()
def ask(
    query: Annotated[str, typer.Argument(help="The question.")],
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH]...", help="Files and folders; none or - reads stdin."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help=f"The model that plans. {MODEL_HELP} Default: RLM_MODEL.")
    ] = None,
    sub_model: Annotated[
        str | None, typer.Option(help="The model for sub-queries. Default: RLM_SUB_MODEL.")
    ] = None,
    signature: Annotated[str, typer.Option(help="Inputs and typed outputs.")] = SIGNATURE,
    recipe: Annotated[
        str | None, typer.Option(help="Follow a recipe: a built-in's name or a file.")
    ] = None,
    route: Annotated[Route | None, typer.Option(help="How to answer. Default: rlm.")] = None,
    budget_dollars: Annotated[float | None, typer.Option(help="Most dollars to spend.")] = None,
    budget_tokens: Annotated[int | None, typer.Option(help="Most tokens.")] = None,
    budget_calls: Annotated[int, typer.Option(help="Most calls of models.")] = CALLS,
    budget_seconds: Annotated[float | None, typer.Option(help="Most seconds.")] = None,
    max_steps: Annotated[int, typer.Option(min=1, help="Most steps of the planner.")] = STEPS,
    as_object: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the answer alone.")] = False,
) -> int:
    """Answer a question over files, folders or standard input."""
    from rlm_dspy.view.terminal import TerminalView

    query = question_of(query)
    view = TerminalView(_console(stderr=True), enabled=not quiet)
    chosen = route.value if route is not None else None
    with view.live(), _quiet_libraries():
        budget = limits(
            dollars=budget_dollars,
            tokens=budget_tokens,
            calls=budget_calls,
            seconds=budget_seconds,
            steps=max_steps,
        )
        context = context_of(paths or [])
        models = models_of(model, sub_model)
        followed = recipe_of(recipe, chosen, models, len(context))
        rlm = rlm_of(signature, models, budget, followed, chosen)
        try:
            result = answered(rlm, models, context, query, listen=view.listen, note=view.note)
        except RLMError as error:
            if as_object and getattr(error, "run", None) is not None:
                nothing = dict.fromkeys(rlm.signature.output_fields)
                print(as_json(error.run, nothing, len(context)))
            raise
    if result is None:
        return ExitCode.INTERRUPTED
    outputs = outputs_of(rlm, result)
    code = exit_code(result.run, outputs)
    _print_answer(result.run, outputs, as_json(result.run, outputs, len(context)) if as_object else "")
    if not quiet:
        _print_left_out(context.skipped)
        _to_stderr(cost_line(result.run, followed))
    return code


def _print_answer(run: Any, outputs: dict[str, Any], as_object: str) -> None:
    if as_object:
        print(as_object)
    elif all(value in (None, "") for value in outputs.values()):
        _to_stderr(f"rlm: no answer ({run.reason or 'the run found none'})")
    else:
        text = as_text(outputs)
        print(printable(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def _print_left_out(skipped: list[tuple[str, str]]) -> None:
    if skipped:
        path, reason = skipped[0]
        more = f" and {len(skipped) - 1:,} more" if len(skipped) > 1 else ""
        _to_stderr(f"rlm: left out: {path} ({reason}){more}")


def _to_stderr(line: str) -> None:
    print(printable(line), file=sys.stderr)


@contextmanager
def _quiet_libraries() -> Iterator[None]:
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


@models_app.command("list")
def list_models() -> None:
    """List the embedded models: what is here, and what can be fetched."""
    from rlm_dspy.models import KNOWN, available, models_dir

    present = dict(available())
    for weights in KNOWN:
        path = present.pop(weights.name, None)
        does = "plans" if weights.plans else "follows recipes"
        where = path or f"not here: rlm models pull {weights.name}"
        print(f"local/{weights.name:<20} {weights.size / 1e6:>8,.0f} MB  {does:<15}  {where}")
    for name, path in present.items():
        size = path.stat().st_size / 1e6
        print(f"local/{name:<20} {size:>8,.0f} MB  {'':<15}  {path}")
    print(f"Models folder: {models_dir()}", file=sys.stderr)


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
    print(path)


@models_app.command("path")
def model_path(
    name: Annotated[str | None, typer.Argument(help="A model; none: the folder of all.")] = None,
) -> None:
    """Print where a model lies."""
    from rlm_dspy.models import find, models_dir

    found: Path = models_dir() if name is None else find(name)
    print(found)
