"""Many sessions at once, thousands of steps of every kind: does anything stay behind?

    uv run --all-extras python -m bench.repl_soak --sessions 64 --steps 10000

Each session is a thread with a seeded mix of steps: good ones, errors, refused code, tools, SUBMIT,
new contexts, branches, endless loops, crashes, filled memory, and sessions that are ended or just
dropped and made anew. It knows what `n` must be after each and checks it. Before and after, when
all sessions are over, processes below this one, open descriptors of all of them, shared memory and
threads are counted. The exit code is 1 where more is there after than before, or where a step was
wrong. Linux only: it reads /proc.
"""

import argparse
import collections
import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass, fields

from bench.header import command_line, header
from bench.processes import descriptors, memfds, tree
from bench.repl_soaked import KINDS, Soaked
from bench.tables import table

_SETTLE_SECONDS = 60.0


@dataclass(frozen=True)
class Count:
    """What a process tree has.

    Args:
        processes: How many there are, ended ones that nobody has waited for included.
        descriptors: Open in all of them.
        shared: Anonymous shared files that they hold open or map.
        threads: Of this process.
    """

    processes: int = 0
    descriptors: int = 0
    shared: int = 0
    threads: int = 0

    def exceeds(self, other: "Count") -> bool:
        """Whether there is more of anything."""
        return any(more > less for more, less in zip(astuple(self), astuple(other), strict=True))

    def highest(self, other: "Count") -> "Count":
        """The higher number of each."""
        return Count(*map(max, astuple(self), astuple(other)))


def counted() -> Count:
    """What this process and its descendants have now."""
    pids = tree(os.getpid())
    opened = sum(len(descriptors(pid)) for pid in pids)
    return Count(len(pids), opened, len(memfds(pids)), threading.active_count())


def settled(enough: Callable[[Count, Count], bool]) -> Count:
    """The count once it is low enough, or after a minute.

    Args:
        enough: Whether to stop, from the count now and the one a second before.
    """
    gc.collect()
    until = time.monotonic() + _SETTLE_SECONDS
    last, now = Count(), counted()
    while not enough(now, last) and time.monotonic() < until:
        time.sleep(1)
        last, now = now, counted()
    return now


def soak(sessions: int, steps: int, seed: int) -> tuple[list[Soaked], Count]:
    """Run the sessions, a thread each.

    Returns:
        The sessions, ended, and the most that was counted meanwhile.
    """
    ended: list[Soaked] = []

    def one(number: int) -> None:
        session = Soaked(seed + number)
        session.run(steps // sessions + (number < steps % sessions))
        session.end()
        ended.append(session)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(sessions)]
    for thread in threads:
        thread.start()
    most = Count()
    while any(thread.is_alive() for thread in threads):
        most = most.highest(counted())
        time.sleep(1)
    return ended, most


def warm(seed: int) -> None:
    """One session through every kind of step: the fork server starts, lazy imports happen."""
    session = Soaked(seed)
    for kind in KINDS:
        session.step(kind)
    session.end()


def main() -> None:
    """Soak, count, and say whether anything leaked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=64)
    parser.add_argument("--steps", type=int, default=10_000, help="of all sessions together")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if not sys.platform.startswith("linux"):
        parser.error("needs Linux: it reads /proc")
    print(header(command_line("bench.repl_soak")), f"\nseed: {given.seed}", flush=True)
    warm(given.seed - 1)
    before = settled(lambda now, last: now == last)
    began = time.monotonic()
    ended, most = soak(given.sessions, given.steps, given.seed)
    took = time.monotonic() - began
    done = sum((session.done for session in ended), collections.Counter())
    wrong = [text for session in ended for text in session.wrong]
    older = sum(session.older for session in ended)
    lost = given.sessions - len(ended)
    ended.clear()
    after = settled(lambda now, _: not now.exceeds(before))
    print(f"{done.total():,} steps in {given.sessions} sessions, {took:.0f} s: {dict(done)}")
    print(f"lost steps after which an older state came back, as the error said: {older}\n")
    names = [field.name for field in fields(Count)]
    columns = zip(names, *map(astuple, (before, most, after)), strict=True)
    rows = [[name, *map(str, numbers)] for name, *numbers in columns]
    print(table(["", "before", "most", "after"], rows), "\n")
    for text in wrong[:20]:
        print(f"wrong: {text}")
    leaked = after.exceeds(before)
    verdict = "a leak" if leaked else "no leak"
    print(f"verdict: {verdict}; {len(wrong)} steps wrong; {lost} sessions broken")
    sys.exit(1 if leaked or wrong or lost else 0)


if __name__ == "__main__":
    main()
