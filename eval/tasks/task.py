"""What a task is."""

from collections.abc import Callable
from dataclasses import dataclass

import dspy

from rlm_dspy import ConfigurationError


@dataclass(frozen=True)
class Task:
    """A benchmark, or a user's own data.

    Args:
        name: Its name.
        summary: What it asks, in a line.
        needs: What its data needs.
        licence: The licence of its data.
        metrics: The names of its metrics in `eval.metrics.METRICS`; the first is its score.
        parts: The parts that it has, by name, with what each is; `NAME:PART` selects one.
        load: Makes its examples; see `eval.tasks` for its arguments.
        groups: The groups that its examples may be of, where they are known.
        row_metrics: What each row of its data may name as its metric.
    """

    name: str
    summary: str
    needs: str
    licence: str
    metrics: tuple[str, ...]
    parts: dict[str, str]
    load: Callable[..., list[dspy.Example]]
    groups: tuple[str, ...] = ()
    row_metrics: tuple[str, ...] = ()


def one_of(part: str, parts: "dict[str, str] | tuple[str, ...]", task: str) -> str:
    """A part's name, checked.

    Raises:
        ConfigurationError: The task has no such part.
    """
    if part not in parts:
        raise ConfigurationError(
            f"The task {task!r} has no part {part!r}; it has {', '.join(parts)}.", part=part
        )
    return part


def checked(n: int, lengths: tuple[int, ...]) -> None:
    """Refuses numbers that no examples can be made of.

    Raises:
        ConfigurationError: One of them is not above zero, or there is no length.
    """
    if n < 1 or not lengths or min(lengths) < 1:
        raise ConfigurationError(
            f"n={n} examples of lengths={lengths} tokens: write numbers above 0, and at least one "
            "length."
        )
