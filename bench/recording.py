"""What recording a run costs: CPU time a sub-query, recorded or not, in turns.

    uv run --all-extras python -m bench.recording

One run asks a scripted model, which answers at once, the same question of many short texts, one
call each, and so measures nothing but this library and dspy. CPU is that of this process, all
threads; the REPL is a process of its own and is not in it. The store is a file in a folder of its
own. Of the times of each kind the least are compared: other work on the machine only ever adds.
"""

import argparse
import gc
import logging
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import dspy

from bench.header import command_line, header
from bench.tables import table
from rlm_dspy import RLM, Budget, RLMOptions
from rlm_dspy.testing import ScriptedLM, code

Mode = Literal["off", "metadata", "full"]
MODES: tuple[Mode, ...] = get_args(Mode)
PLAN = (
    "items = [f'item {{n}} ' + 'text ' * 60 for n in range({queries})]\n"
    "answers = ask_each('Which ship?', items, pack=1)\nSUBMIT(answer=str(len(answers)))"
)


def cpu(mode: Mode, queries: int, store: Path) -> float:
    """The CPU time of one run.

    Args:
        mode: What is recorded.
        queries: How many sub-queries it asks.
        store: The store's file.

    Returns:
        Microseconds a sub-query.
    """
    options = RLMOptions(record=mode, store=str(store))
    sub = ScriptedLM(["fine"], model="sub")
    rlm = RLM(sub_lm=sub, budget=Budget(concurrency=64), options=options)
    planner = ScriptedLM([code(PLAN.format(queries=queries))])
    gc.collect()
    with dspy.context(lm=planner):
        began = time.process_time()
        result = rlm(context="Rain fell. " * 300, query="How many?")
        took = time.process_time() - began
    assert result.answer == str(queries), result.trajectory
    assert len(sub.asked) == queries
    return took / queries * 1e6


def measured(queries: int, rounds: int, store: Path) -> dict[Mode, list[float]]:
    """Microseconds a sub-query of each round, by what is recorded; the order changes by round."""
    cpu("full", min(queries, 100), store)  # imports, and the first tables
    found: dict[Mode, list[float]] = {mode: [] for mode in MODES}
    for number in range(rounds):
        at = number % len(MODES)
        for mode in (*MODES[at:], *MODES[:at]):
            found[mode].append(cpu(mode, queries, store))
    return found


def rows(found: Mapping[Mode, Sequence[float]]) -> list[list[str]]:
    """The table's rows: each kind's median and least, and how its least compares with "off"."""
    off = min(found["off"])
    return [
        [
            mode,
            f"{statistics.median(times):,.0f}",
            f"{min(times):,.0f}",
            f"{min(times) - off:+,.0f}",
            f"{min(times) / off:.2f}",
        ]
        for mode, times in found.items()
    ]


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=1_000, help="sub-queries of a run")
    parser.add_argument("--rounds", type=int, default=9, help="runs of each kind")
    given = parser.parse_args()
    logging.getLogger("dspy").setLevel(logging.ERROR)
    print(header(command_line("bench.recording")), flush=True)
    print(f"{given.queries:,} sub-queries a run, {given.rounds} runs of each kind, in turns\n")
    with tempfile.TemporaryDirectory() as folder:
        found = measured(given.queries, given.rounds, Path(folder) / "runs.sqlite")
    head = ["recorded", "CPU a sub-query, µs: median", "least", "more than off", "ratio to off"]
    print(table(head, rows(found)))


if __name__ == "__main__":
    main()
