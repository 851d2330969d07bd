"""What a run writes down and raises: no keys, and nothing that UTF-8 does not have."""

from collections.abc import Iterable
from typing import Any

from rlm_dspy.runs.redaction import redacted, secrets_of, storable


def cleaned(text: str, lms: Iterable[Any]) -> str:
    """A text as it may be kept: without keys, lone surrogates written out.

    Args:
        text: The text.
        lms: The LMs whose keys are hidden, besides those of the environment; None for none.
    """
    return storable(redacted(text, secrets_of(lms)))
