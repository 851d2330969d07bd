"""`ask_each` over 200 generated lines, packed and one call an item: right answers, calls, seconds.

    uv run --all-extras python -m bench.packing --model local/qwen2.5-coder-0.5b

The lines are glosses of WordNet with the class of their word as label, as the generator of
`oolong_synth` has them; the model is asked for the class of each. The plan is scripted, the
sub-queries are the model's. Cache off.
"""

import argparse
import random
import time
from typing import Any

import dspy

from bench.header import command_line, header
from eval.oolong.sources import WORDNET
from rlm_dspy import RLM, Budget, RLMOptions, resolve_lm
from rlm_dspy.testing import ScriptedLM, code

QUESTION = "Which kind of thing does the line describe?"
PACKS = (1, 4, 8, 32)


def lines_of(count: int, seed: int) -> tuple[list[tuple[str, str]], list[str]]:
    """Lines with their labels, drawn from all classes alike, and the labels.

    Args:
        count: How many.
        seed: Of the draw.
    """
    draw = random.Random(seed)
    texts = WORDNET.texts()
    each = -(-count // len(WORDNET.labels))
    lines = [(t, label) for label in WORDNET.labels for t in draw.sample(texts[label], each)]
    draw.shuffle(lines)
    return lines[:count], list(WORDNET.labels)


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="local/qwen2.5-coder-0.5b")
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    lines, labels = lines_of(given.n, given.seed)
    lm = resolve_lm(given.model, cache=False)
    lm("Say yes.")  # the weights are loaded before the clock starts
    print(header(command_line("bench.packing")))
    print(f"seed: {given.seed}; {len(lines)} lines of {len(labels)} classes: {', '.join(labels)}\n")
    print(
        "| items a call | right | missing | calls | tokens | seconds |\n|---|---|---|---|---|---|"
    )
    for pack in PACKS:
        right, missing, run, seconds = asked(lm, lines, labels, pack)
        print(
            f"| {pack} | {right} of {len(lines)} | {missing} | {run.spend.calls - 1} | "
            f"{run.spend.sub_tokens:,} | {seconds:.0f} |",
            flush=True,
        )
    return 0


def asked(
    lm: dspy.BaseLM, lines: list[tuple[str, str]], labels: list[str], pack: object
) -> tuple[int, int, Any, float]:
    """Asks for the label of every line.

    Args:
        lm: The sub-model.
        lines: The lines, each with its label.
        labels: All labels.
        pack: How many items may share a call.

    Returns:
        How many are right, how many missing, the run, and how long it took.
    """
    texts = [text for text, _ in lines]
    plan = code(
        f"said = ask_each({QUESTION!r}, texts, returns={{'enum': {labels!r}}}, pack={pack!r})\n"
        "SUBMIT(classes=[s if isinstance(s, str) else '' for s in said])"
    )
    rlm = RLM(
        "texts: list[str] -> classes: list[str]",
        sub_lm=lm,
        budget=Budget(concurrency=2),
        options=RLMOptions(record="off"),
    )
    started = time.perf_counter()
    with dspy.context(lm=ScriptedLM([plan])):
        result = rlm(texts=texts)
    seconds = time.perf_counter() - started
    said = result.classes
    right = sum(one == label for one, (_, label) in zip(said, lines, strict=True))
    return right, said.count(""), result.run, seconds


if __name__ == "__main__":
    raise SystemExit(main())
