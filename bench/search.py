"""One long file: reading it, `grep` and `search` over it, and the memory that they take.

    uv run --all-extras python -m bench.search --megabytes 1000
    uv run --all-extras --with bm25s python -m bench.search --megabytes 100 --engines

Every row is measured in a process of its own; its anonymous memory and the pages of the file and of
the index are shown apart. `grep -c` and `wc -m` run over the same file, which was read before, in
the same locale.

With `--engines` the units of the text are also indexed by bm25s, which holds its index in memory:
give it a small text.
"""

import argparse
import json
import logging
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.corpus import Corpus, Fact, write
from bench.header import command_line, header
from bench.memory import Measured, measured
from bench.tables import megabytes, seconds, table
from rlm_dspy import Context

_LOCALE = {**os.environ, "LC_ALL": "C.UTF-8"}
_LITERAL = "Wyoming"  # nowhere, so that all of the text is searched
_PATTERNS = (_LITERAL, r"[0-9]{4}-[0-9]{2}", r"(?i)wyoming|montana", r"\bW\w+\s\w+ing\b.*x$")
_K = 3


def reading(path: Path, _: list[Fact]) -> Measured:
    """How long it takes to make a context of the file."""
    return {"chars": len(Context.from_path(path))}


def searching(path: Path, facts: list[Fact]) -> Measured:
    """The index made, and its queries."""
    context = Context.from_path(path)
    began = time.perf_counter()
    context.search("nothing")
    made = time.perf_counter() - began
    return {"made": made, **_asked(facts, lambda text: context.search(text, k=_K))}


def _asked(facts: list[Fact], search: Callable[[str], list[Any]]) -> Measured:
    times, right = [], 0
    for fact in facts:
        began = time.perf_counter()
        found = search(fact.question)
        times.append(time.perf_counter() - began)
        right += any(fact.told in passage for passage in found)
    return {"times": times, "right": right}


def with_bm25s(path: Path, facts: list[Fact]) -> Measured:
    """The same units, indexed by bm25s in memory."""
    bm25s = import_module("bm25s")  # not of this project: `--with bm25s`

    from rlm_dspy.context.units import units

    context = Context.from_path(path)
    texts = [text for _, _, text in units(context._buffer, 0, len(context))]
    began = time.perf_counter()
    index = bm25s.BM25()
    index.index(bm25s.tokenize(texts, stopwords=[], show_progress=False), show_progress=False)
    made = time.perf_counter() - began

    def search(text: str) -> list[str]:
        asked = bm25s.tokenize([text], stopwords=[], show_progress=False)
        found, _ = index.retrieve(asked, k=_K, show_progress=False)
        return [texts[number] for number in found[0]]

    with tempfile.TemporaryDirectory() as folder:
        index.save(folder)
        size = _size(Path(folder))
    return {"made": made, "size": size, **_asked(facts, search)}


def grepping(path: Path, pattern: str) -> Measured:
    """One pattern over the whole text."""
    context = Context.from_path(path)
    began = time.perf_counter()
    count = context.grep(pattern, count=True)
    return {"took": time.perf_counter() - began, "count": count}


def timed(*command: str) -> float:
    """The best of three runs of another program, in seconds."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run(command, env=_LOCALE, stdout=subprocess.DEVNULL, check=False)
        times.append(time.perf_counter() - began)
    return min(times)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _row(what: str, took: float, size: int, found: Measured, note: str) -> list[str]:
    memory = f"{megabytes(found['anonymous'])}, {megabytes(found['of_files'])}"
    return [what, seconds(took), f"{size / 1e6 / took:,.0f} MB/s", memory, note]


def _queries(found: Measured, facts: list[Fact]) -> str:
    times = sorted(found["times"])
    ninth = times[len(times) * 9 // 10]
    return (
        f"queries: median {seconds(statistics.median(times))}, 90th percentile {seconds(ninth)}, "
        f"most {seconds(times[-1])}; {found['right']} of {len(facts)} facts among the best {_K}"
    )


def rows(corpus: Corpus, cache: Path, *, engines: bool) -> Iterator[list[str]]:
    """The rows of the table, as they are measured."""
    path, size = corpus.path, corpus.path.stat().st_size
    counting = timed("wc", "-m", str(path))
    for time_ in ("first", "second"):
        found = measured(reading, path, corpus.facts)
        note = f"`wc -m`: {seconds(counting)}"
        yield _row(f"read, {time_} time", found["took"], size, found, note)
    for pattern in _PATTERNS:
        found = measured(grepping, path, pattern)
        note = f"{found['count']:,} lines"
        if pattern == _LITERAL:
            note += f"; `grep -c`: {seconds(timed('grep', '-c', pattern, str(path)))}"
        yield _row(f"grep `{pattern}`", found["took"], size, found, note)
    found = measured(searching, path, corpus.facts)
    note = f"index {megabytes(_size(cache / 'search'))}; {_queries(found, corpus.facts)}"
    yield _row("index, tantivy", found["made"], size, found, note)
    found = measured(searching, path, corpus.facts)
    yield _row("index, the second time", found["made"], size, found, _queries(found, corpus.facts))
    if engines:
        found = measured(with_bm25s, path, corpus.facts)
        note = f"index {megabytes(found['size'])}; {_queries(found, corpus.facts)}"
        yield _row("index, bm25s", found["made"], size, found, note)


def main() -> None:
    """Writes the text and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=None, help="where the text is written")
    parser.add_argument("--unicode", action="store_true", help="with characters beyond ASCII")
    parser.add_argument("--engines", action="store_true", help="index it with bm25s as well")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.getLogger("rlm_dspy").setLevel(logging.WARNING)
    print(header(command_line("bench.search")), f"\nseed: {given.seed}\n", flush=True)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        cache = Path(folder) / "cache"
        os.environ["RLM_CACHE_DIR"] = str(cache)
        path = Path(folder) / "corpus.txt"
        size = given.megabytes * 1_000_000
        corpus = write(path, size, given.seed, ascii_only=not given.unicode)
        found = []
        for row in rows(corpus, cache, engines=given.engines):
            print(json.dumps(row, ensure_ascii=False), flush=True)
            found.append(row)
    head = ["", "time", "rate", "anonymous memory, of files", ""]
    print("\n" + table(head, found))


if __name__ == "__main__":
    main()
