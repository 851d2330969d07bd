"""`rlm`: the command line.

Promised: `rlm --help` loads neither dspy nor litellm (each command imports what it needs); answers
go to standard output and everything else to standard error; what a user gets wrong is one line that
begins with `rlm: error:`; the exit codes are `ExitCode`'s: 0 completed, 2 usage, 3 partial, 4 no
answer, 5 configuration or provider, 130 interrupted.
"""

import io
import sys
from typing import Annotated

import typer

from rlm_dspy.commands import ask, cache, chat, export, grep, models, recipes, runs, spend, trying
from rlm_dspy.commands.output import refused, to_stderr, to_stdout
from rlm_dspy.errors import RLMError
from rlm_dspy.outcome import ExitCode, exit_code_of

DISTRIBUTION = "rlm-dspy-runtime"
DEFECT = "a defect of rlm itself: `python -X dev -m rlm_dspy` shows where"
HELP = "Usage: "
# In the order of `rlm --help`.
GROUPS = (
    ask,
    chat,
    grep,
    trying,
    runs,
    spend,
    export,
    recipes,
    models,
    cache,
)

app = typer.Typer(
    name="rlm",
    help="Answer questions over inputs far longer than a model's window.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help in boxes takes 0.2 s of imports
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in GROUPS:
    app.add_typer(group.app)


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
        message = error.format_message()
        if message.startswith(HELP):  # a group without a command
            to_stderr(message)
            return ExitCode.USAGE
        return refused(message, ExitCode.USAGE)
    except RLMError as error:
        return refused(str(error), exit_code_of(error))
    except (KeyboardInterrupt, typer.Abort):
        return ExitCode.INTERRUPTED
    except Exception as error:  # the outermost boundary: a user is shown a line, whatever broke
        if sys.flags.dev_mode:
            raise
        return refused(f"{type(error).__name__}: {error} ({DEFECT})", ExitCode.NO_ANSWER)
    return code if isinstance(code, int) else ExitCode.COMPLETED


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        to_stdout(f"rlm {version(DISTRIBUTION)}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
