"""What a run may spend, and what it has spent."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from rlm_dspy.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The limits of one run, its sub-runs included. A limit of None is no limit.

    Args:
        dollars: Money, in US dollars; needs a model whose price is known.
        tokens: Prompt and completion tokens of all models together.
        calls: Attempts at a model: planner, sub-query, repair and retry each count; what the cache
            answers does not.
        seconds: Wall-clock seconds: nothing starts after them.
        steps: Steps of the planner.
        depth: How deep runs may nest; 1 means sub-queries only.
        concurrency: How many attempts may be in flight at once.

    Raises:
        ConfigurationError: A limit is negative, or not a number.

    Example:
        >>> Budget(dollars=0.50, seconds=120).dollars
        0.5
    """

    dollars: float | None = None
    tokens: int | None = None
    calls: int | None = None
    seconds: float | None = None
    steps: int | None = None
    depth: int = 1
    concurrency: int = 32

    def __post_init__(self):
        for item in fields(self):
            value = getattr(self, item.name)
            least = 1 if item.name in ("depth", "concurrency") else 0
            if value is None and least == 0:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= least:
                raise ConfigurationError(
                    f"Budget({item.name}={value!r}): a limit is a number of at least {least}"
                    + ("" if least else ", or None for no limit")
                    + ".",
                    value=value,
                )

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are set, by name."""
        return {name: limit for name, limit in asdict(self).items() if limit is not None}


@dataclass(frozen=True)
class Usage:
    """What one attempt used, in tokens and US dollars.

    Args:
        prompt_tokens: Tokens of the prompt, cached ones included.
        completion_tokens: Tokens of the reply, reasoning included.
        cached_tokens: Those of the prompt that the provider's prompt cache answered.
        reasoning_tokens: Those of the reply that were reasoning.
        dollars: What it cost; 0 where the price is unknown.
        estimated: The model reported nothing, as where an attempt was broken off: the counts are
            upper bounds.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    dollars: float = 0.0
    estimated: bool = False

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True)
class Spend:
    """What a run has spent so far.

    Args:
        calls: Attempts at a model.
        planner_tokens: Tokens of planning, extraction and direct answers.
        sub_tokens: Tokens of sub-queries.
        prompt_tokens: Tokens of prompts.
        completion_tokens: Tokens of replies, reasoning included.
        reasoning_tokens: Tokens of reasoning.
        cached_tokens: Prompt tokens that a provider's prompt cache answered.
        dollars: Money, in US dollars.
        seconds: Wall-clock seconds since the run started.
        steps: Steps of the planner.
        cache_hits: Calls that dspy's cache answered, free.
        estimated_calls: Calls whose model reported no usage: their tokens are upper bounds.
        by_role: The same of each predictor, in part: "plan" is the run's own planner, "plan@1" that
            of its sub-runs, "plan@2" that of theirs.
    """

    calls: int = 0
    planner_tokens: int = 0
    sub_tokens: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    dollars: float = 0.0
    seconds: float = 0.0
    steps: int = 0
    cache_hits: int = 0
    estimated_calls: int = 0
    by_role: dict[str, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, numbers: Mapping[str, Any]) -> "Spend":
        """What `as_dict` wrote."""
        names = {known.name for known in fields(cls)}
        return cls(**{name: value for name, value in numbers.items() if name in names})

    @property
    def tokens(self) -> int:
        """All tokens."""
        return self.planner_tokens + self.sub_tokens

    @property
    def by_depth(self) -> dict[int, dict[str, float]]:
        """The same of each level of runs, in part; 0 is the run itself."""
        levels: dict[int, dict[str, float]] = {}
        for role, row in self.by_role.items():
            level = levels.setdefault(int(role.partition("@")[2] or 0), dict.fromkeys(row, 0))
            level.update({name: level[name] + amount for name, amount in row.items()})
        return levels

    def as_dict(self) -> dict[str, Any]:
        """The numbers as plain data, money rounded to a millionth of a dollar."""
        return {
            **asdict(self),
            "dollars": round(self.dollars, 6),
            "seconds": round(self.seconds, 3),
            "by_depth": {str(depth): row for depth, row in self.by_depth.items()},
        }
