"""A recorded run, run again: replayed, resumed or forked."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from rlm_dspy import blueprint
from rlm_dspy.inputs import prepared
from rlm_dspy.recording import store_of
from rlm_dspy.runs.record import Mode
from rlm_dspy.runs.stored import Stored
from rlm_dspy.starting import RunHandle
from rlm_dspy.task import Task


def load(run: "str | Path | Stored | None", store: str | None = None) -> Stored:
    """A recorded run.

    Args:
        run: Its id, or the beginning of it; a `Path` to a file of its own; None: the newest.
        store: The store's file; None: the one in use.

    Raises:
        StoreError: There is none.
    """
    if isinstance(run, Stored):
        return run
    return Stored.from_file(run) if isinstance(run, Path) else Stored.of(store_of(store), run)


def started(
    stored: Stored,
    mode: Mode,
    task: Task,
    given: dict[str, Any],
    before: int | None = None,
) -> RunHandle:
    """Starts a recorded run again.

    Args:
        stored: The run.
        mode: How.
        task: What it does, as an equal module has it.
        given: Inputs that the caller has; the others are the record's.
        before: For a fork: the step from which on the planner is asked anew.

    Raises:
        StoreError: It was recorded without texts.
        ReplayMismatch: An input is neither given nor recorded.
    """
    record = stored.record(mode, before)
    if record.mode == "resume" and stored.row.state == "completed":
        record = stored.record("replay")
    task = replace(task, earlier=stored.about.get("earlier", ""))
    if record.is_strict:
        stand_ins = blueprint.stand_ins(stored.about)
        budget = blueprint.budget_of(stored.about, bounded=False)
        task = replace(task, budget=budget, sub_lm=stand_ins.pop("sub_query"), stand_ins=stand_ins)
    inputs = blueprint.inputs_of(stored.about, stored.text, given)
    values = prepared(
        task.outer, inputs, task.options, ours=task.ours, searched=task.recipe is not None
    )
    return RunHandle(task, values, record)
