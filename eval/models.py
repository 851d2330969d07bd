"""The models that a command names."""

from collections.abc import Sequence
from typing import Any

import dspy

from eval.oracle import oracle_lm
from rlm_dspy import ConfigurationError, resolve_lm

ORACLE = "oracle"


def lm_named(
    name: str | None,
    examples: Sequence[dspy.Example],
    *,
    seed: int,
    cache: bool,
    role: Any = "main",
) -> Any:
    """The LM behind a name.

    Args:
        name: What `rlm_dspy.resolve_lm` takes, an LM object too, or "oracle:RATE" for the
            simulated model that errs in that share of its sub-query answers; None for what the
            environment names.
        examples: What a simulated model knows.
        seed: In which answers it errs.
        cache: Whether dspy's cache may answer; never for the simulated model.
        role: "main" or "sub".

    Raises:
        ConfigurationError: There is no such model, or the rate is no share.
    """
    return _loaded(_made(name, examples, seed=seed, cache=cache, role=role))


def models_named(name: str | None) -> list[str]:
    """The models' own names behind a name, as prices and records have them; no weights are loaded.

    Args:
        name: What `lm_named` takes.

    Raises:
        ConfigurationError: There is no such model.
    """
    return models_of(_made(name, (), seed=0, cache=False, role="main"))


def models_of(*lms: Any) -> list[str]:
    """The names of all models behind LMs, which may have others that stand in for them."""
    each = [one for lm in lms if lm is not None for one in _each(lm)]
    return list(dict.fromkeys(str(one.model) for one in each))


def _each(lm: Any) -> Sequence[Any]:
    """An LM, or those that stand in for each other in it."""
    return getattr(lm, "alternatives", (lm,))


def _made(name: Any, examples: Sequence[dspy.Example], *, seed: int, cache: bool, role: Any) -> Any:
    head, _, rate = name.partition(":") if isinstance(name, str) else ("", "", "")
    if head != ORACLE:
        return resolve_lm(name, role=role, cache=cache)
    try:
        share = float(rate or 0)
    except ValueError as error:
        raise ConfigurationError(f"{name!r}: write {ORACLE}:0.05 for 5 % of errors.") from error
    return oracle_lm(examples, error_rate=share, seed=seed)


def _loaded(lm: Any) -> Any:
    """An LM; an embedded one with its weights in memory, so that no example waits for them."""
    for one in _each(lm):
        if one.model.startswith("local/"):
            one("Hello", max_tokens=1, cache=False)
    return lm
