"""Retrieval by keywords, by meaning and by both, over a made-up text, with an embedding model.

    uv run --all-extras python -m bench.dense --model local/bge-small-en-v1.5

Each question is about one sentence at a seeded random place of a made-up text. Half of the
questions are paraphrases: they share no content word with their sentence. Half are look-ups that
share a rare name with it. A passage is right where it holds the sentence. `recall@1` and `recall@5`
say how many of the first passage and of the first five were right.
"""

import argparse
import random
import time
from collections.abc import Sequence
from typing import Literal, get_args

from bench.header import command_line, header
from rlm_dspy import Context, Embedder
from rlm_dspy.demo import CHARS_PER_TOKEN, KINDS, haystack

Way = Literal["keywords", "dense", "hybrid"]
WAYS: tuple[Way, ...] = get_args(Way)
PARAPHRASED = (
    (
        "The physician told him to give up cigarettes.",
        "What medical advice about smoking was there?",
    ),
    ("Her automobile broke down on the motorway.", "Whose car failed on the highway?"),
    ("The feline slept on the rug all morning.", "Where did the cat take its nap?"),
    ("The central bank raised interest rates by half a point.", "How did borrowing get dearer?"),
    ("Their infant cried the whole night.", "Which parents had a baby that would not rest?"),
    ("The bakery ran out of loaves before eight.", "Where was there no more bread to buy?"),
    ("He was dismissed for stealing from the till.", "Who lost his job over theft?"),
    ("The vessel sank after it hit a reef.", "How was the ship wrecked?"),
    ("The jury found the accused not guilty.", "Was the defendant acquitted at the trial?"),
    (
        "Heavy rain flooded the cellar of the library.",
        "What water damage did the book archive have?",
    ),
    ("She inherited a farm from her late aunt.", "Who got land when a relative died?"),
    ("The pupils passed their arithmetic test.", "How did the children do in the maths exam?"),
    ("A blaze destroyed the old sawmill.", "Which building burned to the ground?"),
    ("The mayor will step down at the end of the term.", "Which politician is about to resign?"),
    (
        "The surgeon removed his appendix in March.",
        "What operation did the patient have in spring?",
    ),
    ("The couple tied the knot in a tiny chapel.", "Where did the wedding take place?"),
    ("The firm went bankrupt last winter.", "Which company became insolvent?"),
    (
        "The violinist broke a string during the finale.",
        "What went wrong at the end of the concert?",
    ),
    ("Locusts devoured the wheat fields.", "What ruined the grain harvest?"),
    ("The thief climbed in through the attic.", "How did the burglar enter the house?"),
    (
        "The astronomer spotted a comet nobody had recorded.",
        "What was newly seen in the night sky?",
    ),
    ("His wages were cut by a tenth.", "Whose pay was reduced?"),
    ("The bridge was closed because of cracks.", "Why can one no longer cross the river there?"),
    (
        "The vaccine halved the number of cases.",
        "How well did the shot protect people from illness?",
    ),
)


def made(characters: int, seed: int) -> tuple[str, list[tuple[str, str, str]]]:
    """A text, and (kind, question, sentence) for each question about it."""
    hay = haystack(seed, int(characters / CHARS_PER_TOKEN), 4 * len(KINDS))
    asked = [("look-up", fact.question, fact.sentence) for fact in hay.asked]
    asked += [("paraphrase", question, sentence) for sentence, question in PARAPHRASED]
    draw = random.Random(seed)
    pieces = hay.text.split(" ")
    for sentence, _ in PARAPHRASED:
        ends = [n for n, word in enumerate(pieces) if word.endswith(".")]
        pieces.insert(draw.choice(ends) + 1, sentence)
    return " ".join(pieces), asked


def recalls(context: Context, asked: Sequence[tuple[str, str, str]], way: Way) -> dict[str, list]:
    """For each kind of question whether the first passage, and whether one of five, was right."""
    found: dict[str, list[tuple[bool, bool]]] = {}
    for kind, question, sentence in asked:
        passages = context.search(question, k=5, by=way)
        right = [sentence in str(passage) for passage in passages]
        found.setdefault(kind, []).append((bool(right[:1] and right[0]), any(right)))
    return found


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="local/bge-small-en-v1.5")
    parser.add_argument("--query-prefix", help="what the model's makers put before a query")
    parser.add_argument("--characters", type=int, default=40_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    text, asked = made(given.characters, given.seed)
    embedder = Embedder(given.model, given.query_prefix)
    context = Context.from_text(text).with_embedder(embedder)
    print(header(command_line("bench.dense")), end="\n\n")
    began = time.monotonic()
    context.search("a", k=1, by="dense")
    print(f"{len(text):,} characters embedded in {time.monotonic() - began:.1f} s\n")
    print("| question | search by | recall@1 | recall@5 | ms a query |\n|---|---|---|---|---|")
    for way in WAYS:
        began = time.monotonic()
        found = recalls(context, asked, way)
        each = 1000 * (time.monotonic() - began) / len(asked)
        for kind, hits in found.items():
            first, five = (sum(hit[at] for hit in hits) for at in (0, 1))
            row = (kind, way, f"{first} of {len(hits)}", f"{five} of {len(hits)}", f"{each:.0f}")
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
