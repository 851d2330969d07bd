"""The code that a strong planner would write for a question, by reading the question.

For the questions of `oolong_synth` (generated or published), `oolong_pairs` and `niah`. The code
parses the context itself, asks one sub-query about each thing that has to be judged by its meaning,
and does the rest in Python. A plan has two steps: look, then ask, count and submit. Where nothing
of the lines matters but their labels, the first step is the same for all questions and prints their
counts, and the second one submits what the question, which stands right before it, asks of those: a
small model can follow that.
"""

import ast
import contextlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from eval.plans.needles import needle_plan
from eval.plans.pairs import pairs_plan
from eval.plans.reading import Reading as Reading
from eval.plans.synth import synth_plan

HEAD = "SIMULATED plan"
_SHORT = re.compile(r"^(\w+)(?: \(.*?\))? = (['\"].*['\"])$", re.MULTILINE)
_LONG = re.compile(r"^(\w+)(?: \(.*?\))?: (?:Context|str)\b", re.MULTILINE)
# The beginning of a text that lists its labels, as a prompt shows it.
_LISTED = "categories: '"
_COUNTS = re.compile(r"^Counter\((\{.*\})\)$", re.MULTILINE)
_SUBMIT = re.compile(r"SUBMIT\((\w+)=")


def plan_for(prompt: str, steps: int, label_names: Mapping[str, Sequence[str]]) -> str:
    """The next reply of a planner.

    Args:
        prompt: The planner's prompt.
        steps: How many steps it has taken.
        label_names: The labels that the lines may have, by question.

    Returns:
        A word of reasoning and one block of code. Where no variable holds a question of
        `label_names`, the code submits nothing.
    """
    reading = _read(prompt, label_names)
    code = "SUBMIT()" if reading is None else code_for(reading)[min(steps, 1)]
    if steps and (counts := _COUNTS.findall(prompt)):
        code = _from_counts(code, ast.literal_eval(counts[-1]))
    return f"{HEAD}, step {steps + 1}.\n\n```python\n# {HEAD}\n{code.strip()}\n```"


def code_for(reading: Reading) -> tuple[str, str]:
    """The code of the two steps for a question."""
    for plan in (needle_plan, pairs_plan, synth_plan):
        if (code := plan(reading)) is not None:
            return code
    return "SUBMIT()", "SUBMIT()"


def _from_counts(code: str, counts: Mapping[str, int]) -> str:
    """The last step, as one who has read the printed counts writes it."""
    submitted: dict[str, str] = {}
    exec(code, {"labels": list(Counter(counts).elements()), "SUBMIT": submitted.update})
    return f"SUBMIT({', '.join(f'{name}={value!r}' for name, value in submitted.items())})"


def _short_values(prompt: str) -> Iterator[tuple[str, str]]:
    """The variables that the prompt shows whole; what code in it says is passed over."""
    for name, value in _SHORT.findall(prompt):
        with contextlib.suppress(ValueError, SyntaxError):
            yield name, ast.literal_eval(value)


def _read(prompt: str, label_names: Mapping[str, Sequence[str]]) -> Reading | None:
    short = dict(_short_values(prompt))
    submit = _SUBMIT.search(prompt)
    for name, value in short.items():
        if submit and value in label_names:
            texts = [*_LONG.findall(prompt), *(other for other in short if other != name)]
            return Reading(value, texts[0], submit[1], label_names[value], _LISTED in prompt)
    return None
