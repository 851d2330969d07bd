"""Sub-models: one, several that stand in for each other, or several that code chooses from by name.

    "openai/gpt-5-mini"                                  one
    ["openai/gpt-5-mini", "anthropic/claude-haiku-4-5"]  the second answers where the first fails
    {"fast": "local", "careful": ("openai/gpt-5", "slow and dear, for what is hard")}

By name, each may be a list too. The first name is the default. Each attempt at each of them is an
attempt like any other: LiteLLM's own `fallbacks=` would hide them from the budget.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.models.names import resolve_lm

if TYPE_CHECKING:
    import dspy


@dataclass(frozen=True)
class SubModels:
    """Sub-models by name.

    Args:
        named: The LMs of each name, in the order in which they are tried.
        descriptions: What each is good for, as the planner is told; empty where nothing is said.
    """

    named: Mapping[str, "tuple[dspy.BaseLM, ...]"]
    descriptions: Mapping[str, str] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """The names of all models, as events and results show them."""
        return ", ".join(dict.fromkeys(str(lm.model) for lm in self))

    @property
    def choices(self) -> tuple[str, ...]:
        """The names that code may choose from; none where there is only one."""
        return tuple(self.named) if len(self.named) > 1 else ()

    def of(self, name: str | None) -> "tuple[dspy.BaseLM, ...]":
        """The LMs of a name; None is the default.

        Raises:
            KeyError: There is no such name.
        """
        return self.named[next(iter(self.named)) if name is None else name]

    def __iter__(self) -> "Iterator[dspy.BaseLM]":
        for lms in self.named.values():
            yield from lms

    def __deepcopy__(self, memo: dict[int, Any]) -> "SubModels":
        return self


def sub_models(given: Any) -> Any:
    """What `RLM(sub_lm=…)` was given, resolved.

    Args:
        given: None, a name, an LM, a list of them, or a dict of name to any of these or to a pair
            of it and its description.

    Returns:
        None, an LM, or `SubModels`.

    Raises:
        ConfigurationError: It is none of these, or a name or key in it is not valid.
    """
    if given is None or isinstance(given, SubModels):
        return given
    if isinstance(given, Mapping):
        if not given:
            raise ConfigurationError("sub_lm={} names no model: give one, or leave it out.")
        pairs = {name: _described(name, value) for name, value in given.items()}
        named = {name: _chain(value) for name, (value, _) in pairs.items()}
        return SubModels(named, {name: said for name, (_, said) in pairs.items()})
    if isinstance(given, Sequence) and not isinstance(given, str):
        return SubModels({"": _chain(given)})
    return resolve_lm(given, role="sub")


def _described(name: Any, value: Any) -> tuple[Any, str]:
    if not isinstance(name, str) or not name.isidentifier():
        raise ConfigurationError(
            f"sub_lm has the name {name!r}: code chooses models by names like 'fast'.", name=name
        )
    if isinstance(value, tuple):
        if len(value) == 2 and isinstance(value[1], str):
            return value
        raise ConfigurationError(
            f"sub_lm[{name!r}] is a tuple, but not (MODEL, 'what it is good for'). Models that "
            "stand in for each other go in a list.",
            name=name,
        )
    return value, ""


def _chain(value: Any) -> "tuple[dspy.BaseLM, ...]":
    given = list(value) if isinstance(value, (list, tuple)) else [value]
    if not given:
        raise ConfigurationError("sub_lm=[] names no model: give one, or leave it out.")
    return tuple(resolve_lm(one, role="sub") for one in given)


def each_lm(lm: Any) -> Iterator[Any]:
    """Every LM behind a model or sub-model: those that stand in for others too."""
    several = lm if isinstance(lm, (SubModels, tuple)) else getattr(lm, "alternatives", None)
    if several is None:
        yield lm
    else:
        yield from itertools.chain.from_iterable(map(each_lm, several))


def own_lm(predictor: Any) -> Any:
    """The LM that was set on a predictor, or on the only one inside a module; else None."""
    lm = getattr(predictor, "lm", None)
    if lm is not None or not hasattr(predictor, "predictors"):
        return lm
    inside = {id(each.lm): each.lm for each in predictor.predictors() if each.lm is not None}
    return next(iter(inside.values())) if len(inside) == 1 else None
