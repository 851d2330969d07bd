"""Who may read a run's inputs, decided before anything is read or sent."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rlm_dspy.context import Context
from rlm_dspy.context.fetching import is_url
from rlm_dspy.context.located import Located
from rlm_dspy.models.allowed import refuse_forbidden
from rlm_dspy.models.places import only_local, refuse_elsewhere
from rlm_dspy.task import Task


def permitted(task: Task, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs, where all of the task's models may read them.

    Args:
        task: What a run is to do.
        inputs: Its inputs, as they are given.

    Returns:
        The same inputs; a `Path` as the `Context` of what it leads to.

    Raises:
        ConfigurationError: A model must be on this machine and is not, or may not read a file.
        ContextError: A path cannot be read.
    """
    lms = [task.lm_of(role) for role in task.predictors]
    if only_local(task.options.local_only):
        refuse_elsewhere(lms)
    given = {n: Context.from_path(v) if isinstance(v, Path) else v for n, v in inputs.items()}
    paths = dict.fromkeys(path for value in given.values() for path in _paths(value))
    refuse_forbidden(paths, lms)
    return given


def _paths(value: Any) -> Iterator[str]:
    """The files that a text, or a list of texts, was read from."""
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from _paths(each)
        return
    if not isinstance(value, Located):
        return
    for document in value.context.documents:
        held = document.start < value.end and value.start < document.end
        if held and document.path is not None and not is_url(document.path):
            yield document.path
