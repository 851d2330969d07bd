"""What commands write: answers to standard output, all else to standard error."""

import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rlm_dspy.view.text import printable

if TYPE_CHECKING:
    from rich.console import Console

LONGEST_ERROR = 600


def to_stdout(text: str) -> None:
    """Prints an answer; who reads it may have had enough of it."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Python would complain once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def to_stderr(line: str) -> None:
    """Prints what is not the answer, without what a terminal would obey."""
    print(printable(line), file=sys.stderr)


def for_stdout(text: str) -> str:
    """The text as standard output gets it: unchanged, but for a terminal without what it obeys."""
    return printable(text) if sys.stdout.isatty() else text


def refused(message: str, code: int) -> int:
    """Prints an error as one line.

    Args:
        message: What is wrong.
        code: What to exit with.

    Returns:
        The code.
    """
    said = message.partition("\nTraceback (most recent call last)")[0]
    line = " ".join(said.split())
    line = line if len(line) <= LONGEST_ERROR else f"{line[:LONGEST_ERROR]}…"
    to_stderr(f"rlm: error: {line}")
    return code


def print_left_out(skipped: Sequence[tuple[str, str]]) -> None:
    """Says which files were left out, as (path, reason)."""
    if skipped:
        path, reason = skipped[0]
        more = f" and {len(skipped) - 1:,} more" if len(skipped) > 1 else ""
        to_stderr(f"rlm: left out: {path} ({reason}){more}")


def console(*, stderr: bool = False) -> "Console":
    """Where to draw: standard output, or standard error."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


@contextmanager
def quiet_libraries() -> Generator[None]:
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
