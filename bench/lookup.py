"""Look-ups over long texts with the embedded models: how many are right, how long they take.

    uv run --all-extras python -m bench.lookup --model local/qwen2.5-coder-0.5b

Each question is about one sentence at a seeded random place of a made-up text: half are needles,
half are facts in several wordings that share a rare word with their question and little else. Two
lengths by default. `--recipe general` answers by the recipe instead of planning. An answer is right
when it says the value as a word and is short. The cache is off: every answer is paid.
"""

import argparse
import logging
import random
import statistics
import time
from dataclasses import dataclass

import dspy

from bench.header import command_line, header
from rlm_dspy import RLM, Context, resolve_lm
from rlm_dspy.demo import CHARS_PER_TOKEN, KINDS, haystack, right

_ADJECTIVES = ("brisk", "wooden", "silent", "hollow", "gentle", "rusty", "polite", "narrow")
_NOUNS = ("falcon", "turbine", "orchard", "violin", "glacier", "lantern", "harbor", "cactus")


@dataclass(frozen=True)
class Question:
    """One question, its right answer, and the text that holds it."""

    kind: str
    text: str
    question: str
    value: str


@dataclass(frozen=True)
class Answered:
    """What became of one question."""

    right: bool
    steps: int
    seconds: float
    status: str


def needles(count: int, characters: int, seed: int) -> list[Question]:
    """Questions for a number that the text gives by a made-up name."""
    draw = random.Random(seed)
    questions = []
    for number in range(count):
        plain = haystack(seed + number, int(characters / CHARS_PER_TOKEN), 1).text
        key = f"{draw.choice(_ADJECTIVES)}-{draw.choice(_NOUNS)}"
        value = str(draw.randint(1_000_000, 9_999_999))
        needle = f"One of the special magic numbers for {key} is: {value}. "
        at = plain.index(" ", draw.randrange(len(plain) * 98 // 100)) + 1
        text = plain[:at] + needle + plain[at:]
        asked = f"What is the special magic number for {key}?"
        questions.append(Question("needle", text, asked, value))
    return questions


def facts(count: int, characters: int, seed: int) -> list[Question]:
    """Questions for facts in several wordings."""
    questions = []
    for number in range(count):
        made = haystack(seed + number, int(characters / CHARS_PER_TOKEN), len(KINDS))
        fact = made.asked[number % len(made.asked)]
        questions.append(Question("fact", made.text, fact.question, fact.value))
    return questions


def ask(lm: dspy.BaseLM, question: Question, recipe: str | None) -> Answered:
    """Answers one question and judges the answer."""
    started = time.monotonic()
    with dspy.context(lm=lm):
        rlm = RLM(recipe=recipe)
        result = rlm(context=Context.from_text(question.text), query=question.question)
    seconds = time.monotonic() - started
    good = right(result.answer, question.value)
    if not good:
        print(f"  wrong: {question.question} {question.value!r}, answered {result.answer!r}")
    return Answered(good, len(result.trajectory), seconds, result.run.status)


def row(kind: str, characters: int, answered: list[Answered]) -> str:
    """One line of the table."""
    seconds = sorted(one.seconds for one in answered)
    ninth = seconds[max(0, int(len(seconds) * 0.9) - 1)]
    completed = sum(one.status == "completed" for one in answered)
    return (
        f"| {kind} | {characters:,} | {sum(one.right for one in answered)} of {len(answered)} "
        f"| {completed} | {statistics.median(one.steps for one in answered):g} "
        f"| {statistics.median(seconds):.1f} | {ninth:.1f} |"
    )


def main() -> None:
    """Asks all questions and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="local/qwen2.5-coder-0.5b")
    parser.add_argument("--n", type=int, default=20, help="questions of each kind and length")
    parser.add_argument("--characters", default="37000,1000000")
    parser.add_argument("--kinds", default="needle,fact")
    parser.add_argument("--recipe", default=None)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.getLogger("dspy").setLevel(logging.ERROR)
    print(header(command_line("bench.lookup")), f"\nseed: {given.seed}", flush=True)
    lm = resolve_lm(given.model, cache=False)
    rows = []
    for characters in map(int, given.characters.split(",")):
        for kind in given.kinds.split(","):
            make = {"needle": needles, "fact": facts}[kind]
            questions = make(given.n, characters, given.seed)
            rows.append(row(kind, characters, [ask(lm, q, given.recipe) for q in questions]))
            print(rows[-1], flush=True)
    planner = f"recipe {given.recipe!r}" if given.recipe else "planning for itself"
    print(f"\n{lm.model}, {planner}:\n")
    print("| question | characters | right | completed | steps, median | seconds | 90th pct. |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
