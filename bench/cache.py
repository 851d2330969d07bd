"""How much is paid again when a hundredth of the documents has changed.

    uv run --all-extras python -m bench.cache

The same question is asked of every document of a made-up collection, then again, then again after
1 % of the documents were changed in place, one was added in front and one taken out; one call a
document, and packed. The third way cuts the whole text into chunks, at fixed lengths and where the
content says. The model is scripted and answers at once: only what is asked counts here. The cache
is dspy's, in a folder of its own.
"""

import argparse
import logging
import random
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

import dspy

from bench.header import command_line, header
from rlm_dspy import RLM, Budget, Context
from rlm_dspy.testing import Asked, ScriptedLM, code

WORDS = ("river", "lamp", "stone", "winter", "coat", "garden", "bread", "signal", "copper")
CODE = {
    "documents, one call each": "ask_each(query, context.documents, bool, pack=1)",
    "documents, packed": "ask_each(query, context.documents, bool)",
    "chunks of 2,000 characters": "ask_each(query, context.chunks(2000), bool, pack=1)",
    "the same, by content": "ask_each(query, context.chunks(2000, by='content'), bool, pack=1)",
}


@dataclass(frozen=True)
class Paid:
    """What one run asked and paid."""

    asked: int
    paid: int


Document = tuple[str, str]


def collection(count: int, draw: random.Random) -> list[Document]:
    """Documents of one to four lines, each with its title."""
    return [
        (
            f"note {number}",
            "\n".join(
                f"{number}.{line}: " + " ".join(draw.choices(WORDS, k=draw.randint(4, 10)))
                for line in range(draw.randint(1, 4))
            ),
        )
        for number in range(count)
    ]


def changed(documents: list[Document], draw: random.Random) -> list[Document]:
    """The documents with a hundredth changed, one more in front and one less."""
    edited = list(documents)
    for at in draw.sample(range(len(documents)), max(1, len(documents) // 100)):
        title, text = edited[at]
        edited[at] = (title, f"{text}\nchanged: {draw.random()}")
    del edited[len(edited) // 2]
    return [("a new note", str(draw.random())), *edited]


def answer(asked: Asked) -> str:
    """The scripted model's reply, to a question about one text or about a pack."""
    items = re.findall(r"^(\d+): ", asked.last, re.MULTILINE)
    if "Answer for every item by itself" in asked.last:
        return "\n".join(f"{number}: yes" for number in items)
    return "yes"


def run(source: str, documents: list[Document]) -> Paid:
    """Asks once; what was asked, and what of it was paid."""
    sub = ScriptedLM(answer, cache=True)
    planner = ScriptedLM([code(f"answers = {source}\nSUBMIT(answer=str(len(answers)))")])
    context = Context.from_documents(documents)
    with dspy.context(lm=planner):
        result = RLM(sub_lm=sub, budget=Budget(concurrency=32))(
            context=context, query="Does the text speak of a river?"
        )
    assert result.run.status == "completed", result.trajectory
    return Paid(len(sub.asked) + result.run.spend.cache_hits, len(sub.asked))


def measured(source: str, count: int, seed: int) -> tuple[Paid, Paid, Paid]:
    """First run, the same again, and after the change, on an empty cache."""
    draw = random.Random(seed)
    documents = collection(count, draw)
    with tempfile.TemporaryDirectory() as folder:
        dspy.configure_cache(disk_cache_dir=folder)
        runs: tuple[Callable[[], list[Document]], ...] = (
            lambda: documents,
            lambda: documents,
            lambda: changed(documents, draw),
        )
        first, again, after = (run(source, make()) for make in runs)
        dspy.cache.disk_cache.close()
    return first, again, after


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.getLogger("dspy").setLevel(logging.ERROR)
    print(header(command_line("bench.cache")), f"\nseed: {given.seed}\n", flush=True)
    print(
        "| asked of | sub-queries | paid first | paid again | paid after the change | hits then |"
    )
    print("|---|---|---|---|---|---|")
    for name, source in CODE.items():
        first, again, after = measured(source, given.documents, given.seed)
        share = after.paid / after.asked
        print(
            f"| {name} | {first.asked:,} | {first.paid:,} | {again.paid:,} "
            f"| {after.paid:,} ({share:.1%}) | {1 - share:.1%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
