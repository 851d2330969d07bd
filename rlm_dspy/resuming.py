"""A recorded run, run again at a terminal: its module is made from its record, its keys are not.

Models are those that the record names, called with the keys of the environment; tools of MCP
servers are not in a record, and stand-ins answer for them as far as it goes.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlm_dspy.asking import outcome_of, waited
from rlm_dspy.choosing import Models, models_of
from rlm_dspy.errors import ConfigurationError
from rlm_dspy.given import context_of, paths_again
from rlm_dspy.outcome import Outcome

if TYPE_CHECKING:
    from rlm_dspy.budget import Budget
    from rlm_dspy.events import Event
    from rlm_dspy.runs.record import Mode
    from rlm_dspy.runs.stored import Stored


def again(
    run: str | Path | None,
    mode: "Mode",
    listen: Callable[["Event"], None],
    note: Callable[[str], None],
    *,
    at: int | None = None,
    model: str | None = None,
    sub_model: str | None = None,
    limits: Mapping[str, Any] | None = None,
) -> Outcome:
    """Runs a recorded run again.

    Args:
        run: Its id, or the beginning of it; a `Path` to a file of its own; None: the newest.
        mode: "resume", "replay" or "fork".
        listen: Gets each event of the run.
        note: Gets what the user should know at once.
        at: For a fork: the step from which on the planner is asked anew.
        model: Another model that plans.
        sub_model: Another model for sub-queries.
        limits: Limits in place of the run's, by the names of `Budget`; None is the run's own.

    Raises:
        StoreError: There is no such run, or it was recorded without texts.
        ReplayMismatch: It does not go as it went.
        RLMError: It cannot be done.
    """
    import dspy

    from rlm_dspy.rebuilding import rebuilt
    from rlm_dspy.rerunning import load

    stored = load(run)
    stored.record(mode)  # refuses a record without texts before anything is loaded
    models = models_again(stored, mode, model, sub_model)
    rlm = rebuilt(stored, sub_lm=models and models.sub, budget=_budget(stored, limits or {}))
    given = inputs_again(stored, note)
    outputs: dict[str, Any] = dict.fromkeys(rlm.signature.output_fields)
    with dspy.context(lm=models.main if models else None):
        handle = rlm.start_again(stored, mode, given, at=at, listeners=(listen,))
        return outcome_of(partial(waited, handle, note), outputs, recipe=rlm.recipe)


def models_again(
    stored: "Stored", mode: "Mode", model: str | None, sub_model: str | None, **options: Any
) -> Models | None:
    """The models of a run that goes on live; None for a replay, which has none.

    Args:
        stored: The run.
        mode: How it goes on.
        model: Another model that plans.
        sub_model: Another model for sub-queries.
        **options: Given to `dspy.LM`.

    Raises:
        ConfigurationError: The record names no model, or a name, a key or the weights are wrong.
    """
    if mode == "replay" or (mode == "resume" and stored.row.state == "completed"):
        return None
    return models_of(*names_again(stored, model, sub_model), **options)


def names_again(
    stored: "Stored", model: str | None, sub_model: str | None
) -> tuple[str, str | None]:
    """The names of the models of a run that goes on live, each the run's own but for what is given.

    Args:
        stored: The run.
        model: Another model that plans.
        sub_model: Another model for sub-queries.

    Returns:
        The model that plans, and the one for sub-queries; None: the environment's, else the same.

    Raises:
        ConfigurationError: The record names no model.
    """
    main = model or stored.row.model
    if not main:
        raise ConfigurationError(
            f"The record of the run {stored.row.id} names no model: give one by --model."
        )
    return main, sub_model or stored.row.sub_model or None


def _budget(stored: "Stored", limits: Mapping[str, Any]) -> "Budget | None":
    from dataclasses import replace

    from rlm_dspy.blueprint import budget_of

    given = {name: limit for name, limit in limits.items() if limit is not None}
    return replace(budget_of(stored.about, bounded=True), **given) if given else None


def inputs_again(stored: "Stored", note: Callable[[str], None]) -> dict[str, Any]:
    """What was too long for the record, read again from where `rlm ask` read it.

    Args:
        stored: The run.
        note: As `context_of` takes it.

    Raises:
        ContextError: It cannot be read any more.
    """
    from rlm_dspy.budget import Budget

    paths = read_again(stored)
    if not paths:
        return {}
    reading = stored.about["notes"].get("reading", {})
    return {_missing(stored)[0]: context_of(paths, reading, None, Budget(), note)}


def read_again(stored: "Stored") -> list[str]:
    """The paths that `inputs_again` reads; none where the record has all, or names none."""
    return paths_again(stored.about["notes"]) if _missing(stored) else []


def _missing(stored: "Stored") -> list[str]:
    return [name for name, kept in stored.about["inputs"].items() if kept.get("says")]
