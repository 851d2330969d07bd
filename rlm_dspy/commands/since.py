"""`--since`: from when on."""

import re
import time
from datetime import datetime
from typing import Annotated

import typer

from rlm_dspy.outcome import UsageError

Since = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="From when on: 7d, 12h, 30m, 2w, or a date (2026-11-01)."),
]
_SECONDS = {"m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def moment(since: str | None) -> float:
    """From when on, seconds since 1970; 0 where nobody says.

    Args:
        since: A length of time until now, or a date of the local calendar.

    Raises:
        UsageError: It is neither.
    """
    if since is None:
        return 0.0
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)([mhdw])", since.strip()):
        return time.time() - float(found[1]) * _SECONDS[found[2]]
    try:
        return datetime.fromisoformat(since.strip()).timestamp()
    except ValueError:
        raise UsageError(
            f"--since {since!r}: say a length of time (7d, 12h) or a date (2026-11-01)."
        ) from None
