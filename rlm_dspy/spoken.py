"""What `verbose=True` says: each step before it runs and what came of it, as `dspy.RLM` says them.

The messages go to a logger of their own. Where nobody has set up logging they are shown on standard
error, through dspy's own stream, which `dspy.disable_logging()` silences.
"""

import logging

from dspy.utils.logging_utils import (
    DSPY_LOGGING_STREAM,
    LOGGING_DATETIME_FORMAT,
    LOGGING_LINE_FORMAT,
)


class _UnlessHandled(logging.StreamHandler):
    """Shows a message that no handler further up takes."""

    def emit(self, record: logging.LogRecord) -> None:
        if logger.parent is None or not logger.parent.hasHandlers():
            super().emit(record)


logger = logging.getLogger(__name__)
# Nothing is logged here unless it was asked for, so no level of the user's holds it back.
logger.setLevel(logging.INFO)
_handler = _UnlessHandled(DSPY_LOGGING_STREAM)
_handler.setFormatter(logging.Formatter(LOGGING_LINE_FORMAT, LOGGING_DATETIME_FORMAT))
logger.addHandler(_handler)


def say_step(step: int, steps: int | None, reasoning: str, code: str) -> None:
    """Says what a step is about to run.

    Args:
        step: Its number, from 1.
        steps: The limit of steps.
        reasoning: The planner's.
        code: The code.
    """
    logger.info("RLM iteration %d/%s\nReasoning: %s\nCode:\n%s", step, steps, reasoning, code)


def say_output(output: str) -> None:
    """Says what a step gave the planner, cut already."""
    logger.info("Output (%s chars):\n%s", f"{len(output):,}", output)
