"""The tasks, and what a runner needs to know of them.

`load("NAME")` or `load("NAME:PART")` gives a list of `dspy.Example`. Every task's `load` takes the
same keywords and has a default for each:

- `n`: how many examples of each length;
- `lengths`: contexts' lengths in tokens (8k is 8192), each of which is taken once;
- `seed`: which examples. The same arguments give the same examples, byte for byte, in any process;
- `generated`: make the data here instead of reading it from the hub;
- `part`: what stands behind the colon.

A task may take more of its own, such as `labelled` of `oolong_synth`.

Every example has, as inputs, for any program:

- `context`: the text, from a few thousand characters to gigabytes;
- `question`: the question, with the form in which it wants its answer. What a model without a REPL
  is asked is context, newline, question.

and besides, for the runner, the metrics and the optimizers:

- `answer`: a right answer as a program would give it, a text that scores 1 (but by "graphwalks",
  whose official code gives no list of the right nodes more than a part); for demos;
- `gold`: what is right, as the metric takes it;
- `metric`: the name of its metric in `eval.metrics.METRICS`; `Task.metrics` names all of the task;
- `id`: its name, unique in the task: two runs are compared over the same ids;
- `context_id`: the name of its context: splits are by context, never by row;
- `task`, `group`: the task's name, and the task group (or kind) for tables by group;
- `length`: the length in tokens that was asked for, or that the data says; the unit is the token of
  cl100k_base, and other tokenizers count up to a third more or less;
- `seed`: the seed it was made or drawn with.

Where the lines of a context have labels, `label_names` lists them and `labelled_context` is the
context with the labels shown. `tied` says that several golds tie, of which the scorer takes the
first only.

A task raises `ConfigurationError` for what the caller got wrong and `ContextError` for data that
cannot be read; neither costs a call of a model.
"""

from typing import Any

import dspy

from eval.tasks import folder, niah, oolong_pairs, oolong_synth
from eval.tasks.task import Task as Task
from rlm_dspy import ConfigurationError

TASKS = {module.TASK.name: module.TASK for module in (oolong_synth, oolong_pairs, niah, folder)}


def load(name: str, **options: Any) -> list[dspy.Example]:
    """Loads the examples of a task.

    Args:
        name: "NAME", or "NAME:PART".
        **options: As above.

    Returns:
        The examples.

    Raises:
        ConfigurationError: There is no such task or part.
        ContextError: Its data cannot be read.

    Example:
        >>> [example.gold for example in load("niah:single_1", n=2, lengths=[1024])]
        [['5430050'], ['8184941']]
    """
    task, part = task_named(name)
    if "lengths" in options:
        options["lengths"] = tuple(dict.fromkeys(options["lengths"]))
    return task.load(**options, **({"part": part} if part else {}))


def task_named(name: str) -> tuple[Task, str]:
    """The task and the part of "NAME:PART".

    Raises:
        ConfigurationError: There is no such task.
    """
    known, _, part = name.partition(":")
    if known not in TASKS:
        raise ConfigurationError(
            f"There is no task {known!r}; there are {', '.join(TASKS)}.", task=known
        )
    return TASKS[known], part
