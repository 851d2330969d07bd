"""Up to which length an input is better answered by one direct call than by a planner.

    uv run --all-extras python -m bench.routing --model local/qwen2.5-coder-0.5b

Each question is about one sentence at a seeded random place of a made-up text (`bench.lookup`), and
is answered both ways by the same model: by one call that reads the whole text, and in the REPL (by
`--recipe general` for a model that cannot plan). The crossover is the greatest length up to which
the direct call is right at least as often, and takes no more tokens, at every length tried; its
interval is that of 90 % of 2,000 bootstrap samples of the questions. The cache is off.
"""

import argparse
import logging
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dspy

from bench.header import command_line, header
from bench.lookup import Question, facts, needles
from rlm_dspy import RLM, Context, RLMOptions, resolve_lm
from rlm_dspy.demo import CHARS_PER_TOKEN, right

SAMPLES, INTERVAL = 2_000, 0.90


@dataclass(frozen=True)
class Way:
    """How one question went in one way."""

    right: bool
    tokens: int
    seconds: float


@dataclass(frozen=True)
class Both:
    """How one question went in both ways."""

    direct: Way
    planned: Way


def answered(lm: dspy.BaseLM, question: Question, rlm: RLM) -> Way:
    """Answers one question in one way."""
    began = time.monotonic()
    with dspy.context(lm=lm):
        result = rlm(context=Context.from_text(question.text), query=question.question)
    seconds = time.monotonic() - began
    return Way(right(result.answer, question.value), result.run.spend.tokens, seconds)


def crossover(asked: Mapping[int, Sequence[Both]]) -> int:
    """The greatest length up to which the direct way is no worse; 0 where it never is.

    Args:
        asked: The questions by the length of their texts.
    """
    best = 0
    for length in sorted(asked):
        direct = [both.direct for both in asked[length]]
        planned = [both.planned for both in asked[length]]
        worse = sum(way.right for way in direct) < sum(way.right for way in planned)
        dearer = sum(way.tokens for way in direct) > sum(way.tokens for way in planned)
        if worse or dearer:
            break
        best = length
    return best


def interval(asked: Mapping[int, Sequence[Both]], seed: int) -> tuple[int, int]:
    """The interval of the crossover, by resampling the questions of each length."""
    draw = random.Random(seed)
    found = sorted(
        crossover({length: draw.choices(both, k=len(both)) for length, both in asked.items()})
        for _ in range(SAMPLES)
    )
    low = int(SAMPLES * (1 - INTERVAL) / 2)
    return found[low], found[-1 - low]


def row(length: int, both: Sequence[Both]) -> str:
    """One line of the table."""
    cells = [f"{length:,}"]
    for ways in ([each.direct for each in both], [each.planned for each in both]):
        cells += [
            f"{sum(way.right for way in ways)} of {len(ways)}",
            f"{statistics.mean(way.tokens for way in ways):,.0f}",
            f"{statistics.median(way.seconds for way in ways):.1f}",
        ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Asks all questions in both ways and prints the table and the crossover."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="local/qwen2.5-coder-0.5b")
    parser.add_argument("--n", type=int, default=10, help="questions of each length")
    parser.add_argument("--tokens", default="250,500,1000,2000,4000", help="lengths of the texts")
    parser.add_argument("--recipe", default=None, help="instead of planning")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.getLogger("dspy").setLevel(logging.ERROR)
    print(header(command_line("bench.routing")), f"\nseed: {given.seed}\n", flush=True)
    lm = resolve_lm(given.model, cache=False)
    # The planned way is the REPL's for every length: a short text is a `Context` as well.
    planner = RLM(recipe=given.recipe)
    reader = RLM(options=RLMOptions(route="direct"))
    print("| tokens | direct: right | tokens | seconds | planned: right | tokens | seconds |")
    print("|---|---|---|---|---|---|---|")
    asked: dict[int, list[Both]] = {}
    for length in map(int, given.tokens.split(",")):
        characters, half = int(length * CHARS_PER_TOKEN), given.n // 2
        questions = [
            *needles(half, characters, given.seed),
            *facts(given.n - half, characters, given.seed),
        ]
        asked[length] = [
            Both(answered(lm, question, reader), answered(lm, question, planner))
            for question in questions
        ]
        print(row(length, asked[length]), flush=True)
    low, high = interval(asked, given.seed)
    print(f"\nCrossover: {crossover(asked):,} tokens ({INTERVAL:.0%} interval {low:,} to {high:,})")


if __name__ == "__main__":
    main()
