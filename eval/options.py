"""What a user writes as an option, as a value."""

import logging
import re

from eval.purse import Prices
from rlm_dspy import ConfigurationError

_LENGTH = re.compile(r"(\d+(?:\.\d+)?)([km]?)", re.IGNORECASE)
_UNITS = {"": 1, "k": 1_024, "m": 1_048_576}


def lengths_of(text: str | None) -> tuple[int, ...] | None:
    """Lengths in tokens from "8k,32k,100000", each once; None for None.

    Raises:
        ConfigurationError: One of them is no length.
    """
    if text is None:
        return None
    return tuple(dict.fromkeys(_length(part.strip()) for part in text.split(",")))


def prices_of(given: list[str] | None) -> Prices:
    """Prices from "MODEL=IN,OUT", in dollars a million tokens.

    Raises:
        ConfigurationError: One of them is no price.
    """
    found = {}
    for text in given or ():
        model, _, numbers = text.rpartition("=")
        try:
            read, write = map(float, numbers.split(","))
        except ValueError as error:
            raise ConfigurationError(
                f"--price {text!r}: write MODEL=IN,OUT in dollars a million tokens."
            ) from error
        found[model] = (read, write)
    return Prices(found)


def quiet() -> None:
    """Keeps what DSPy logs for its own users from between a command's lines."""
    for name in ("dspy", "gepa", "optuna"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _length(text: str) -> int:
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise ConfigurationError(f"{text!r} is no length: write tokens, such as 4096 or 8k.")
    return int(float(found[1]) * _UNITS[found[2].lower()])
