"""Recipes made of one run: how often they are right on 20 other inputs, and what they save.

    uv run --all-extras python -m bench.recipes
    uv run --all-extras python -m bench.recipes --tasks lookup --model local/qwen2.5-coder-0.5b

For every kind of question a planner answers the first example; a recipe is made of that run, and
answers the others, each with its own text and its own question. The planner answers them too, for
comparison. A question that does not fit the recipe's form is refused: it would be planned anew.
With `oracle:0`, which writes the plans of a strong planner and never errs in a sub-query, the table
says what becomes of code, and nothing about any model.
"""

import argparse
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import dspy

from bench.header import command_line, header
from bench.lookup import needles
from bench.tables import table
from eval.metrics import metric_named
from eval.models import ORACLE, lm_named
from eval.oolong import SOURCES, make_window
from eval.oolong.sources import WORDNET
from eval.oracle import SIMULATED
from eval.tasks import niah
from eval.tasks.oolong_synth import window_examples
from programs.rlm import AnswerOverContext
from rlm_dspy import RLM, ConfigurationError, Recipe
from rlm_dspy.demo import right

LOOKUP_CHARS = 37_000


@dataclass
class Kind:
    """What became of one kind of question.

    Args:
        name: The kind.
        asked: Questions beside the first.
        refused: Those that did not fit the recipe; all, where none could be made.
        right: Right answers by the recipe.
        wrong: Wrong answers by it.
        planned_right: Right answers by the planner.
        planned_tokens: The planner's tokens for the questions that the recipe took.
        recipe_tokens: The planner's tokens in the recipe's runs.
        why: Why no recipe could be made; empty where one was.
    """

    name: str
    asked: int = 0
    refused: int = 0
    right: int = 0
    wrong: int = 0
    planned_right: int = 0
    planned_tokens: int = 0
    recipe_tokens: int = 0
    why: str = field(default="", repr=False)

    def row(self) -> list[str]:
        """Its line of the table."""
        made = "no" if self.why else "yes"
        counts = (self.right, self.wrong, self.refused, self.planned_right)
        saved = self.planned_tokens - self.recipe_tokens
        return [self.name, made, *(f"{count} of {self.asked}" for count in counts), f"{saved:,}"]


def niah_kinds(n: int, length: int, seed: int) -> Iterator[tuple[str, list[dspy.Example]]]:
    """Needles, n of each kind."""
    for name in niah.KINDS:
        yield f"niah {name}", niah.load(n, lengths=(length,), seed=seed, part=name)


def oolong_kinds(n: int, length: int, seed: int) -> Iterator[tuple[str, list[dspy.Example]]]:
    """Questions of OOLONG-synth, n of each kind that so many texts all have, one of each text."""
    windows = (make_window(SOURCES[WORDNET.name], length, f"s{seed}-{i}") for i in range(n))
    kinds: dict[str, dict[str, dspy.Example]] = {}
    for window in windows:
        for example in window_examples(window, seed):
            part = " of some" if example.subset else ""
            said = f"{example.question_type}{part}".removeprefix("TASK_TYPE.")
            answer = example.answer_type.removeprefix("ANSWER_TYPE.")
            kind = f"oolong {example.group}: {said}, {answer}".lower().replace("_", " ")
            kinds.setdefault(kind, {}).setdefault(example.context_id, example)
    for kind, examples in sorted(kinds.items()):
        if len(examples) == n:
            yield kind, list(examples.values())


def lookup_kinds(n: int, length: int, seed: int) -> Iterator[tuple[str, list[dspy.Example]]]:
    """The needles of `bench.lookup`."""
    del length
    made = needles(n, LOOKUP_CHARS, seed)
    fields = [{"context": q.text, "question": q.question, "gold": q.value} for q in made]
    yield "lookup needle", [dspy.Example(**f, metric="lookup") for f in fields]


TASKS: dict[str, Callable[[int, int, int], Iterator[tuple[str, list[dspy.Example]]]]] = {
    "niah": niah_kinds,
    "oolong_synth": oolong_kinds,
    "lookup": lookup_kinds,
}


def is_right(example: dspy.Example, answered: Any) -> bool:
    """Whether an answer is entirely right."""
    if example.metric == "lookup":
        return right(answered.answer, example.gold)
    return metric_named(example.metric)(example, answered) >= 1.0


def measured(name: str, examples: Sequence[dspy.Example], lm: dspy.BaseLM) -> Kind:
    """Makes a recipe of the first example's run, and asks it the others."""
    kind = Kind(name, asked=len(examples) - 1)
    planner = RLM(AnswerOverContext)
    first, *others = examples
    with dspy.context(lm=lm):
        recipe = _recipe(kind, first, planner(context=first.context, question=first.question))
        follower = RLM(AnswerOverContext, recipe=recipe) if recipe is not None else None
        for example in others:
            asked = {"context": example.context, "question": example.question}
            planned = planner(**asked)
            kind.planned_right += is_right(example, planned)
            try:
                answered = follower(**asked) if follower is not None else None
            except ConfigurationError:
                answered = None
            if answered is None:
                kind.refused += 1
                continue
            good = is_right(example, answered)
            kind.right += good
            kind.wrong += not good
            kind.planned_tokens += planned.run.spend.planner_tokens
            kind.recipe_tokens += answered.run.spend.planner_tokens
    return kind


def _recipe(kind: Kind, example: dspy.Example, result: Any) -> Recipe | None:
    if not is_right(example, result):
        kind.why = "the first run was not right"
        return None
    try:
        return Recipe.from_run(result.run, example.question, name="made")
    except ConfigurationError as error:
        kind.why = str(error)
        return None


def main() -> None:
    """Measures every kind and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", default="niah,oolong_synth")
    parser.add_argument("--model", default=f"{ORACLE}:0")
    parser.add_argument("--others", type=int, default=20, help="other inputs of each kind")
    parser.add_argument("--length", type=int, default=4096, help="tokens of a text")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.getLogger("dspy").setLevel(logging.ERROR)
    os.environ["RLM_RECORD"] = "off"
    print(header(command_line("bench.recipes")), f"\nseed: {given.seed}", flush=True)
    if given.model.startswith(ORACLE):
        print(SIMULATED)
    kinds = []
    for task in given.tasks.split(","):
        for name, examples in TASKS[task](given.others + 1, given.length, given.seed):
            lm = lm_named(given.model, examples, seed=given.seed, cache=False)
            kinds.append(measured(name, examples, lm))
            print(kinds[-1], kinds[-1].why, flush=True)
    head = ["question", "recipe", "right", "wrong", "refused", "planned right", "tokens saved"]
    print(f"\n{table(head, [kind.row() for kind in [*kinds, _total(kinds)]])}")


def _total(kinds: Sequence[Kind]) -> Kind:
    counts = ("asked", "refused", "right", "wrong", "planned_right", "planned_tokens")
    sums = {name: sum(getattr(kind, name) for kind in kinds) for name in counts}
    whole = Kind("all", **sums, recipe_tokens=sum(kind.recipe_tokens for kind in kinds))
    whole.why = "" if all(not kind.why for kind in kinds) else "some could not be made"
    return whole


if __name__ == "__main__":
    main()
