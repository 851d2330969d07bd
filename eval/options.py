"""What a user writes as an option, as a value."""

import logging
import math
import re

from eval.models import models_named
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


def seconds_of(seconds: float, option: str = "--budget-seconds") -> float:
    """A limit of time, as it was given.

    Raises:
        ConfigurationError: It is no number above 0.
    """
    if not 0 < seconds < math.inf:
        raise ConfigurationError(f"{option} {seconds}: write a number of seconds above 0.")
    return seconds


def dollars_of(dollars: float | None) -> float | None:
    """A limit of money, as it was given; None for none.

    Raises:
        ConfigurationError: It is no number from 0.
    """
    if dollars is not None and not 0 <= dollars < math.inf:
        raise ConfigurationError(
            f"--budget-dollars {dollars}: write a number of dollars from 0 (which allows only what "
            "costs nothing), or leave it out for no limit."
        )
    return dollars


def prices_of(given: list[str] | None, lm: str | None, *others: str | None) -> Prices:
    """Prices from "MODEL=IN,OUT", in dollars a million tokens.

    Args:
        given: What was written.
        lm: The command's model, as `lm_named` takes it.
        *others: Its other models; None for those that it does not have.

    Raises:
        ConfigurationError: One of them is no price, or of a model that the command does not use.
    """
    found = {}
    for text in given or ():
        model, _, numbers = text.rpartition("=")
        try:
            read, write = map(float, numbers.split(","))
        except ValueError:
            read, write = math.nan, math.nan
        if not model or not all(0 <= price < math.inf for price in (read, write)):
            raise ConfigurationError(
                f"--price {text!r}: write MODEL=IN,OUT in dollars a million tokens, numbers from 0."
            )
        found[model] = (read, write)
    names = (lm, *filter(None, others)) if found else ()
    used = {model for name in names for model in models_named(name)}
    if unused := sorted(set(found) - used):
        raise ConfigurationError(
            f"--price {', '.join(unused)}: the command uses no such model, but "
            f"{', '.join(sorted(used))}."
        )
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
