"""Many sub-queries through LiteLLM: time against the ideal, CPU against plain dspy, memory, faults.

    uv run --all-extras python -m bench.queries
    uv run --all-extras python -m bench.queries --part faults

A server of its own process speaks the OpenAI protocol and takes a second an answer. The same
questions are asked twice over, on the same LM: by `asyncio.gather` of `dspy.Predict.acall` behind a
semaphore, and by a run whose code calls `ask_each` with one call an item. The two take turns, and
of the CPU times of each the least counts: other work on the machine only ever adds. CPU is this
process's own, the server's and the REPL's are not in it; what was loaded before is frozen, so that
the garbage collector walks only over what a way itself leaves behind. The ideal time is the calls
one after another over the calls in flight.

The second part asks of a server that fails a fifth of its requests, and checks that every item is
answered or missing by name, that no limit is exceeded and that nothing is left running.
"""

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import dspy

from bench.header import command_line, header
from rlm_dspy import RLM, Budget, resolve_lm
from rlm_dspy.loop import private_loop
from rlm_dspy.testing import ScriptedLM, code

QUESTION = "How many? Answer with a number."


@dataclass(frozen=True)
class Cost:
    """What one way took."""

    seconds: float
    cpu: float
    peak: float  # MiB above the start


@contextlib.contextmanager
def serving(*arguments: str) -> Generator[str]:
    """A server in a process of its own; gives its address."""
    command = [sys.executable, "-m", "bench.chat_server", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        finally:
            process.terminate()


def model(address: str, **options: object) -> dspy.BaseLM:
    """The LM that both ways ask."""
    return resolve_lm(
        "openai/bench", api_base=address, api_key="none", cache=False, max_tokens=50, **options
    )


def texts(count: int) -> list[str]:
    """What is asked about."""
    return [f"In row {n} there are seven of them." for n in range(count)]


def plain(lm: dspy.BaseLM, count: int, concurrency: int) -> None:
    """Asks by dspy alone."""
    predictor = dspy.Predict("question, text -> response")

    async def ask(text: str, slots: asyncio.Semaphore) -> None:
        async with slots:
            await predictor.acall(question=QUESTION, text=text, lm=lm)

    async def ask_all() -> None:
        slots = asyncio.Semaphore(concurrency)
        await asyncio.gather(*(ask(text, slots) for text in texts(count)))

    asyncio.run_coroutine_threadsafe(ask_all(), private_loop()).result()


def ours(lm: dspy.BaseLM, count: int, concurrency: int, **limits: int) -> dspy.Prediction:
    """Asks by a run; its answer is how many items were answered and how many are missing."""
    source = (
        f"xs = ask_each({QUESTION!r}, [f'In row {{n}} there are seven of them.' "
        f"for n in range({count})], pack=1)\n"
        "SUBMIT(answered=sum(bool(x) for x in xs), missing=sum(isinstance(x, Missing) for x in xs))"
    )
    with dspy.context(lm=ScriptedLM([code(source)])):
        rlm = RLM(
            "query -> answered: int, missing: int",
            sub_lm=lm,
            budget=Budget(concurrency=concurrency, **limits),
        )
        return rlm(query=QUESTION)


def cost_of(work: Callable[[], object]) -> Cost:
    """Runs and measures."""
    gc.collect()
    gc.freeze()
    start, peak, done = memory(), 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.05):
            peak = max(peak, memory() - start)

    watching = threading.Thread(target=watch)
    watching.start()
    began, cpu = time.monotonic(), time.process_time()
    work()
    cost = Cost(time.monotonic() - began, time.process_time() - cpu, 0.0)
    done.set()
    watching.join()
    return Cost(cost.seconds, cost.cpu, max(peak, memory() - start))


def memory() -> float:
    """The resident memory of this process, in MiB."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def best(costs: Sequence[Cost]) -> Cost:
    """The least of each."""
    return Cost(
        min(cost.seconds for cost in costs),
        min(cost.cpu for cost in costs),
        min(cost.peak for cost in costs),
    )


def compare(count: int, seconds: float, rounds: int, concurrencies: Sequence[int]) -> None:
    """Prints the table of times, CPU and memory."""
    print("| in flight | way | seconds | of the ideal | CPU, ms a call | CPU ratio | peak, MiB |")
    print("|---|---|---|---|---|---|---|")
    with serving("--seconds", str(seconds)) as address:
        lm = model(address)
        plain(lm, 64, 64)  # loads what is loaded once
        ours(lm, 64, 64)
        for concurrency in concurrencies:
            ideal = -(-count // concurrency) * seconds
            ways: dict[str, list[Cost]] = {"plain dspy": [], "a run": []}
            for _ in range(rounds):
                ways["plain dspy"].append(cost_of(lambda c=concurrency: plain(lm, count, c)))
                ways["a run"].append(cost_of(lambda c=concurrency: ours(lm, count, c)))
            least = best(ways["plain dspy"]).cpu
            for way, costs in ways.items():
                cost = best(costs)
                of_ideal = f"{cost.seconds / ideal:.2f}" if ideal else "-"
                print(
                    f"| {concurrency} | {way} | {cost.seconds:.1f} | {of_ideal} "
                    f"| {cost.cpu / count * 1e3:.2f} | {cost.cpu / least:.2f} | {cost.peak:.0f} |",
                    flush=True,
                )


def faults(count: int, seconds: float, stall: float, concurrency: int) -> None:
    """Asks of a server that fails a fifth of its requests, and checks what is promised."""
    limits = {"calls": count * 2, "tokens": count * 400}
    server = ("--seconds", str(seconds), "--faults", "0.2", "--stall", str(stall))
    with serving(*server) as address:
        lm = model(address, num_retries=6, timeout=stall * 2)
        began, held = time.monotonic(), memory()
        result = ours(lm, count, concurrency, **limits)
        took = time.monotonic() - began
        assert result.answered + result.missing == count, "an item was lost"
        spend = result.run.spend
        assert spend.calls <= limits["calls"], "the limit of calls was exceeded"
        assert spend.tokens <= limits["tokens"], "the limit of tokens was exceeded"
        left = asyncio.run_coroutine_threadsafe(_left_behind(), private_loop()).result()
        assert not left, f"tasks are left behind: {left}"
        failed: dict[str, int] = {}
        for event in result.run.events:
            if event.kind == "charged" and event.error:
                failed[event.error] = failed.get(event.error, 0) + 1
        print(f"items: {count:,}, answered {result.answered:,}, missing {result.missing:,}")
        print(f"calls: {spend.calls:,} of {limits['calls']:,}, failed: {failed}")
        print(f"tokens: {spend.tokens:,} of {limits['tokens']:,}")
        print(f"seconds: {took:.1f}; without faults at best {count / concurrency * seconds:.1f}")
        print(f"memory: {memory() - held:.0f} MiB more than before; tasks left: none")


async def _left_behind() -> list[str]:
    """What still runs on the loop; LiteLLM's own worker for its logs, which never ends, aside."""
    await asyncio.sleep(0.5)
    running = (repr(task.get_coro()) for task in asyncio.all_tasks() - {asyncio.current_task()})
    return [name for name in running if "LoggingWorker" not in name]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=["compare", "faults"], default="compare")
    parser.add_argument("--n", type=int, help="sub-queries: 1,000 to compare, 10,000 with faults")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long an answer takes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", default="64,128")
    parser.add_argument("--stall", type=float, default=30.0)
    given = parser.parse_args()
    logging.getLogger("dspy").setLevel(logging.ERROR)
    print(header(command_line("bench.queries")), "\n", flush=True)
    concurrencies = [int(number) for number in given.concurrency.split(",")]
    if given.part == "compare":
        compare(given.n or 1_000, given.seconds, given.rounds, concurrencies)
    else:
        faults(given.n or 10_000, given.seconds, given.stall, concurrencies[-1])


if __name__ == "__main__":
    main()
