"""What a text says after a marker, found without a model.

The marker is looked up as it is written, and without regard to case where it is nowhere so.
"""

import re
from collections.abc import Iterator
from typing import Any

from rlm_dspy.context.pieces import plain
from rlm_dspy.errors import ContextError


def after(source: Any, marker: str, until: str | None, max_chars: int) -> Iterator[Any]:
    """The stripped pieces that follow each `marker` in a located piece, in order.

    Args:
        source: A located piece.
        marker: What comes before the text sought; not empty.
        until: Where that text ends, itself left out; None: only at `max_chars`.
        max_chars: The most characters taken.

    Raises:
        ContextError: The marker is empty.
    """
    marker, until = plain(marker), plain(until)
    if not isinstance(marker, str) or not marker:
        raise ContextError(f"extract_after: marker={marker!r} must be a text that is not empty.")
    places = _exact(source, marker)
    first = next(places, None)
    if first is None:
        places = _any_case(source, marker)
        first = next(places, None)
    while first is not None:
        yield _taken(source, first, until, max_chars)
        first = next(places, None)


def _taken(source: Any, at: int, until: str | None, max_chars: int) -> Any:
    piece = source[at : at + max_chars]
    stop = piece.find(until) if until else -1
    return (piece if stop < 0 else piece[:stop]).strip()


def _exact(source: Any, marker: str) -> Iterator[int]:
    """Where each marker ends, as written."""
    at = source.find(marker)
    while at >= 0:
        at += len(marker)
        yield at
        at = source.find(marker, at)


def _any_case(source: Any, marker: str) -> Iterator[int]:
    """Where each marker ends, upper and lower case alike."""
    pattern = re.compile(re.escape(marker), re.IGNORECASE)
    return (found.end() for found in pattern.finditer(source._whole()))
