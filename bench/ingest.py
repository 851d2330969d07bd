"""A folder of texts: reading it for the first and the second time, `grep` and `search` over it.

    uv run --all-extras python -m bench.ingest --megabytes 10000 --folder /somewhere/with/room

The folder has one file with 70 % of the bytes, 190 with most of the rest, and 2,000 small ones; a
seventh of the words has characters beyond ASCII. Everything of ours is measured in a process of its
own, in turns with `wc -m` and `grep -c` over the same files, which were all read before. Machines
are shared: of several rounds the best counts, and beside the time stands the CPU time, which others
disturb less. Written on disk: the texts, and an index of about half their size.
"""

import argparse
import json
import logging
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.corpus import Corpus, Fact, write_folder
from bench.header import command_line, header
from bench.memory import Measured, measured
from bench.tables import megabytes, seconds, table
from rlm_dspy import Context, ReadOptions, RestrictedInterpreter

_LOCALE = {**os.environ, "LC_ALL": "C.UTF-8"}
LITERAL = "Wyoming"  # nowhere, so that all of the text is searched
_K = 3
_SETTLES = 2.5  # how long a file must be left alone to be known by its times, seconds
_STEP = """
at = len(context) // 2
print(len(context), len(context[at : at + 9]), context[-1] == context[len(context) - 1])
print(len(context.lines(1_000_000, 1_000_100)), context.grep({word!r}, count=True))
print([passage.start for passage in context.search({asked!r}, k=1)])
"""


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """How long something takes, in seconds, and what it gives."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def reading(folder: Path) -> Measured:
    """A context of the folder."""
    Context.from_path(Path(__file__).parent)  # what is imported for it takes 0.3 s
    told: list[int] = []
    options = ReadOptions(progress=lambda progress: told.append(progress.files))
    began = time.process_time()
    took, context = timed(lambda: Context.from_path(folder, options))
    times = {"took": took, "cpu": time.process_time() - began}
    return {
        **times,
        "chars": len(context),
        "documents": len(context.documents),
        "told": len(told),
    }


def looking(folder: Path) -> Measured:
    """What is asked of a context without a search: its length, pieces and lines of it."""
    context = Context.from_path(folder)
    middle = len(context) // 2
    times = {
        "length": timed(lambda: len(context))[0],
        "slice": timed(lambda: context[middle : middle + 1000])[0],
        "lines": timed(lambda: context.lines(1_000_000, 1_000_100))[0],
    }
    return {"times": times, "newlines": len(context.lines())}


def grepping(folder: Path, pattern: str) -> Measured:
    """One pattern over all texts."""
    context = Context.from_path(folder)
    began = time.process_time()
    took, count = timed(lambda: context.grep(pattern, count=True))
    return {"took": took, "cpu": time.process_time() - began, "count": count}


def searching(folder: Path, facts: list[Fact]) -> Measured:
    """The index, made or opened, and queries."""
    context = Context.from_path(folder)
    began = time.process_time()
    took, _ = timed(lambda: context.search("nothing"))
    cpu = time.process_time() - began
    times, cpus, right = [], [], 0
    for fact in facts:
        began = time.process_time()
        asked, found = timed(lambda fact=fact: context.search(fact.question, k=_K))
        times.append(asked)
        cpus.append(time.process_time() - began)
        right += any(fact.told in passage for passage in found)
    return {"took": took, "cpu": cpu, "times": times, "cpus": cpus, "right": right}


def stepping(folder: Path, asked: str) -> Measured:
    """The same in one step of the REPL."""
    context = Context.from_path(folder)
    with RestrictedInterpreter(step_seconds=3600) as repl:
        took, printed = timed(
            lambda: repl.execute(_STEP.format(word=LITERAL, asked=asked), {"context": context})
        )
    return {"took": took, "printed": printed}


def rival(*command: str) -> Measured:
    """Another program: its time, its CPU time, and what it prints."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    took, done = timed(
        lambda: subprocess.run(command, env=_LOCALE, capture_output=True, text=True, check=False)
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"took": took, "cpu": cpu, "printed": done.stdout}


class Bench:
    """The measurements over one folder.

    Args:
        corpus: The folder.
        cache: The cache folder, which is emptied.
        rounds: How often what is compared is measured, in turns.
    """

    def __init__(self, corpus: Corpus, cache: Path, rounds: int):
        self.folder, self.facts = corpus.path, corpus.facts
        self.files = [str(path) for path in sorted(corpus.path.rglob("*")) if path.is_file()]
        self.size = sum(os.stat(file).st_size for file in self.files)
        self.cache = cache
        self._rounds = rounds

    def ingest(self) -> dict[str, Measured]:
        """Reading for the first time against `wc -m`, and for the second time."""
        counting, first = [], []
        for _ in range(self._rounds):
            counting.append(rival("wc", "-m", *self.files))
            shutil.rmtree(self.cache, ignore_errors=True)
            first.append(measured(reading, self.folder))
        second = [measured(reading, self.folder) for _ in range(self._rounds)]
        return {"wc": _best(counting), "first": _best(first), "second": _best(second)}

    def grep(self) -> dict[str, Measured]:
        """A literal, against `grep -c`."""
        theirs, ours = [], []
        for _ in range(self._rounds):
            theirs.append(rival("grep", "-c", LITERAL, *self.files))
            ours.append(measured(grepping, self.folder, LITERAL))
        return {"grep": _best(theirs), "ours": _best(ours)}

    def look(self) -> Measured:
        """Lengths, pieces and lines."""
        return measured(looking, self.folder)

    def search(self) -> dict[str, Measured]:
        """The index made, opened again, and its queries."""
        made = measured(searching, self.folder, self.facts)
        return {"made": made, "opened": measured(searching, self.folder, self.facts)}

    def step(self) -> Measured:
        """All of it in the REPL."""
        return measured(stepping, self.folder, self.facts[0].question)

    def index_size(self) -> int:
        """The bytes of the search index on disk."""
        return sum(
            path.stat().st_size for path in (self.cache / "search").rglob("*") if path.is_file()
        )


def _best(runs: list[Measured]) -> Measured:
    """The quickest of several runs, with the most memory of any."""
    most = {
        key: max(run[key] for run in runs)
        for key in ("anonymous", "of_files", "shared")
        if key in runs[0]
    }
    least = {"took": min(run["took"] for run in runs), "cpu": min(run["cpu"] for run in runs)}
    return {**runs[-1], **least, **most}


def rows(bench: Bench, *, search: bool) -> Iterator[list[str]]:
    """The rows of the table, as they are measured."""
    ingested = bench.ingest()
    yield _row("`wc -m`", ingested["wc"], bench.size, "")
    first, second = ingested["first"], ingested["second"]
    note = f"{first['documents']:,} documents, {first['chars']:,} characters"
    note += f"; {_times(ingested['wc'], first)} as fast as `wc -m`"
    yield _row("read, first time", first, bench.size, note)
    yield _row(
        "read, second time", second, bench.size, f"told of progress {second['told']:,} times"
    )
    looked = bench.look()
    times = ", ".join(f"{name} {seconds(took)}" for name, took in looked["times"].items())
    yield _row("`len`, a slice, 101 lines", looked, 0, times)
    found = bench.grep()
    yield _row(f"`grep -c {LITERAL}`", found["grep"], bench.size, "")
    note = f"{_times(found['grep'], found['ours'])} as fast as `grep -c`"
    yield _row(f"`grep({LITERAL!r}, count=True)`", found["ours"], bench.size, note)
    if not search:
        return
    searched = bench.search()
    note = f"{megabytes(bench.index_size())} on disk"
    yield _row("search index, made", searched["made"], bench.size, note)
    opened = searched["opened"]
    yield _row("search index, opened", opened, 0, _queries(opened, bench.facts))
    yield _row("a step of the REPL: all of these", bench.step(), 0, "")


def _times(theirs: Measured, ours: Measured) -> str:
    took, cpu = theirs["took"] / ours["took"], theirs["cpu"] / ours["cpu"]
    return f"{took:.2f} times (by CPU time {cpu:.2f} times)"


def _queries(found: Measured, facts: list[Fact]) -> str:
    times = sorted(found["times"])
    ninth = times[len(times) * 9 // 10]
    return (
        f"queries: median {seconds(statistics.median(times))} (CPU time "
        f"{seconds(statistics.median(found['cpus']))}), 90th percentile {seconds(ninth)}, most "
        f"{seconds(times[-1])}; {found['right']} of {len(facts)} facts among the best {_K}"
    )


def _row(what: str, found: Measured, size: int, note: str) -> list[str]:
    rate = f"{size / 1e6 / found['took']:,.0f} MB/s" if size else ""
    memory = [
        megabytes(found[name]) if name in found else ""
        for name in ("anonymous", "shared", "of_files")
    ]
    return [what, seconds(found["took"]), seconds(found["cpu"]), rate, *memory, note]


def main() -> None:
    """Writes the texts and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=None, help="where the texts are written")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-search", action="store_true", help="make no search index")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.getLogger("rlm_dspy").setLevel(logging.WARNING)
    print(header(command_line("bench.ingest")), f"\nseed: {given.seed}\n", flush=True)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        cache = Path(folder) / "cache"
        os.environ["RLM_CACHE_DIR"] = str(cache)
        corpus = write_folder(Path(folder) / "texts", given.megabytes * 1_000_000, given.seed)
        time.sleep(_SETTLES)
        bench = Bench(corpus, cache, given.rounds)
        found = []
        for row in rows(bench, search=not given.no_search):
            print(json.dumps(row, ensure_ascii=False), flush=True)
            found.append(row)
    head = ["", "time", "CPU time", "rate", "anonymous", "memfd", "of files", ""]
    print("\n" + table(head, found))


if __name__ == "__main__":
    main()
