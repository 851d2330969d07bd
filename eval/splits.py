"""Examples divided into parts for tuning, by context and never by row.

Two questions over one context are not independent: what a prompt learns of the context in training
would help it in the test.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import dspy

from eval.runs import Data
from eval.tasks import task_named
from rlm_dspy import ConfigurationError

# How often more data is asked for where contexts are too few, twice as much each time.
TRIES = 6


def split(data: Data, sizes: Mapping[str, int]) -> tuple[Data, dict[str, list[dspy.Example]]]:
    """Loads as many examples as the parts need and deals them out.

    Args:
        data: Which examples; its `n` is set to what the parts need.
        sizes: How many examples each part gets, by its name.

    Returns:
        The data as it was loaded, and the examples by part; no context is in two parts.

    Raises:
        ConfigurationError: There are too few contexts, or no such group.
    """
    lengths = len(data.lengths or (0,))
    n, before = -(-sum(sizes.values()) // lengths), -1
    groups = task_named(data.task)[0].groups
    if data.group and groups and data.group.partition("/")[0] not in groups:
        replace(data, n=n).examples()  # which says what groups there are
    for _ in range(TRIES):
        taken = replace(data, n=n)
        examples = taken.examples(some=False)
        if (parts := dealt(examples, sizes, data.seed)) is not None:
            return taken, parts
        if examples and len(examples) == before:
            break
        n, before = n * 2, len(examples)
    if not examples:
        taken.examples()  # which says what groups there are
    contexts = len({example.context_id for example in examples})
    raise ConfigurationError(
        f"{data.task} has {len(examples)} examples over {contexts} contexts here, too few for "
        f"{dict(sizes)}: parts share no context."
    )


def dealt(
    examples: Sequence[dspy.Example], sizes: Mapping[str, int], seed: int
) -> dict[str, list[dspy.Example]] | None:
    """Deals examples out by context.

    Args:
        examples: The examples.
        sizes: How many each part gets; of a part's last context, what is too much is left out.
        seed: Which contexts go where.

    Returns:
        The examples by part; None where there are too few.
    """
    contexts: dict[str, list[dspy.Example]] = {}
    for example in examples:
        contexts.setdefault(example.context_id, []).append(example)
    names = sorted(contexts)
    random.Random(f"split-{seed}").shuffle(names)
    parts: dict[str, list[dspy.Example]] = {}
    for part, size in sizes.items():
        found: list[dspy.Example] = []
        while len(found) < size:
            if not names:
                return None
            found += contexts[names.pop()]
        parts[part] = found[:size]
    return parts
