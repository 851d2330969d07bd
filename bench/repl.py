"""The REPL against dspy's interpreters and rlms, in one run.

    uv run --all-extras python -m bench.repl

Measured: a session's start to its first output; a trivial step; many sessions at once; recovery
from an endless step; long texts handed over and worked on. Every case runs in a process of its own
under limits of time and memory, so that what fails is a cell of the table and nothing more. dspy's
Deno interpreter is prepared by `bench.deno`, rlms by `bench.rlms`. Linux only: memory is read from
/proc, as the sum of PSS over the process of the case (the host of the REPL, with what it imports)
and all its descendants.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import deno, repl_texts, rlms
from bench.children import Outcome, adopt_orphans, run
from bench.header import command_line, header
from bench.installing import Unavailable
from bench.processes import Memory, machine_memory
from bench.repl_rivals import NAMES, WAYS
from bench.tables import megabytes, seconds, table

_SIZES = {"1KB": 10**3, "1MB": 10**6, "100MB": 10**8, "1GB": 10**9}
_SECTIONS = ("start", "steps", "sessions", "timeout", "contexts")
_CROWDS = (8, 64)
_STEPS_EACH = 20
# Many sessions at once may take so many times as long as another case.
_CROWD_PATIENCE = 4
# Seconds between steps while the next snapshot is taken: a planner thinks longer.
_PAUSE = 0.02
# An endless step is under a limit of one second; who has not ended it by then has no limit.
_ENDLESS_SECONDS = 15.0
_MEMORY_MB = 2048
_FAILURE_SHOWN = 90
_CONTEXT_COLUMNS = (
    "handed over",
    "3 steps on slices",
    "a small step",
    "peak memory",
    "`count` over all",
    "peak memory then",
)

_LEGEND = (
    'Memory is the peak of the sum of PSS over the process of a case and all below it; "held" adds '
    "shared memory that none of them maps; ≈ where a process hides its PSS: its private resident "
    "memory is counted instead."
)


@dataclass
class Rivals:
    """Who takes part and how their cases run.

    Args:
        python: The Python of each.
        environment: Variables of each.
        versions: What the header does not know.
        absent: Why one cannot take part.
        notes: What a reader must know of how they were measured.
    """

    python: dict[str, str] = field(default_factory=dict)
    environment: dict[str, dict[str, str]] = field(default_factory=dict)
    versions: list[str] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Bench:
    """One run of the measurements.

    Args:
        rivals: Who takes part.
        chosen: Their keys, in the order of the columns.
        seconds: How long a case may take once it is ready.
        limit: How many bytes a case's process tree may hold.
        steps: How many steps are measured.
    """

    rivals: Rivals
    chosen: tuple[str, ...]
    seconds: float
    limit: int
    steps: int

    def measure(self, rival: str, shown: str, request: dict[str, Any]) -> Outcome:
        """Run one case of one rival."""
        absent = self.rivals.absent.get(rival)
        if absent is not None:
            return Outcome(failure=f"not available: {absent}")
        print(f"{NAMES[rival]}: {shown}", file=sys.stderr, flush=True)
        limits = {
            "timeout": _ENDLESS_SECONDS,
            "sessions": self.seconds * _CROWD_PATIENCE,
        }
        return run(
            [self.rivals.python[rival], "-m", "bench.repl_cases", json.dumps(request)],
            self.rivals.environment.get(rival, {}),
            seconds=limits.get(request["case"], self.seconds),
            limit=self.limit,
        )

    def row(self, shown: str, cell: Callable[[Outcome], str], **request: Any) -> list[list[str]]:
        """One line of the table: the same case of every rival."""
        outcomes = [
            self.measure(rival, shown, {"rival": rival, **request}) for rival in self.chosen
        ]
        return [[shown, *(_or_failure(outcome, cell) for outcome in outcomes)]]

    def start(self) -> list[list[str]]:
        """From making a session to its first output."""
        return self.row(
            "start to first output: the first session of a process; later ones, median",
            lambda got: f"{seconds(got.measured['first'])}; {seconds(got.measured['later'])}",
            case="start",
        )

    def step_times(self) -> list[list[str]]:
        """Trivial steps."""

        def cell(got: Outcome) -> str:
            return f"{seconds(got.measured['median'])}; {seconds(got.measured['p95'])}"

        spaced = (
            f"a trivial step to its result, {_PAUSE * 1000:g} ms apart: median; 95th percentile"
        )
        packed = "the same without a pause (ours: with the next snapshot taken)"
        return [
            *self.row(spaced, cell, case="steps", count=self.steps, pause=_PAUSE),
            *self.row(packed, cell, case="steps", count=self.steps, pause=0.0),
        ]

    def sessions(self) -> list[list[str]]:
        """Many sessions at once."""

        def cell(got: Outcome) -> str:
            wrong = got.measured["wrong"]
            lost = f"; **{wrong} of {got.measured['steps']} steps wrong**" if wrong else ""
            return f"{seconds(got.measured['seconds'])}; {_memory(got.peaks[-1])}{lost}"

        rows = []
        for crowd in _CROWDS:
            shown = f"{crowd} sessions at once: all start and run {_STEPS_EACH} steps; memory"
            rows += self.row(shown, cell, case="sessions", count=crowd, each=_STEPS_EACH)
        return rows

    def timeout(self) -> list[list[str]]:
        """An endless step."""

        def cell(got: Outcome) -> str:
            kept = "kept" if got.measured["kept"] else "lost (a new session)"
            return f"{seconds(got.measured['recovered'])}; variables {kept}"

        shown = "endless step, limit 1 s: from the limit to the next step's result"
        return self.row(shown, cell, case="timeout")

    def contexts(self, sizes: dict[str, int], seed: int) -> Iterator[str]:
        """A table a size of how long texts are handed over and worked on."""
        ways = {key: way for key, way in WAYS.items() if way.rival in self.chosen}
        failed: dict[str, str] = {}
        for shown, size in sizes.items():
            rows = []
            with tempfile.TemporaryDirectory() as folder:
                for key, way in ways.items():
                    if key in failed:
                        outcome = Outcome(failure=f"not tried: failed at {failed[key]}")
                        rows.append([way.shown, *_context_cells(outcome)])
                        continue
                    outcome = self._context(key, shown, size, seed, Path(folder))
                    rows.append([way.shown, *_context_cells(outcome)])
                    if outcome.failure:
                        failed[key] = shown
            yield table([f"{shown} of text", *_CONTEXT_COLUMNS], rows)

    def growth(self, shown: str, size: int, seed: int) -> str:
        """What a long context adds to a step: the same step over it and over 1 KB, in turns."""
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / name for name in ("small", "large")]
            for path, length in zip(paths, (1 << 10, size), strict=True):
                repl_texts.make(path, length, seed, ascii_only=True)
            small, large = map(str, paths)
            request = {"small": small, "large": large, "count": self.steps, "pause": _PAUSE}
            outcome = self.measure("rlm_dspy", f"steps over {shown}", {"case": "paired", **request})
        if outcome.failure:
            return f"A step over {shown}: {outcome.failure}"
        had, has = outcome.measured["small"], outcome.measured["large"]
        return (
            f"A step of ours over a context of {shown} takes {seconds(has)}, over one of 1 KB "
            f"{seconds(had)}: {has / had:.2f} times as long (medians of {self.steps}, in turns)."
        )

    def _context(self, key: str, shown: str, size: int, seed: int, folder: Path) -> Outcome:
        way = WAYS[key]
        path = folder / ("ascii.txt" if way.ascii else "other.txt")
        text = repl_texts.make(path, size, seed, ascii_only=way.ascii)
        request = {
            "case": "contexts",
            "way": key,
            "path": str(path),
            "memory_mb": max(_MEMORY_MB, size * 4 // 2**20),
            "questions": text.questions(way.variable),
        }
        return self.measure(way.rival, f"{way.shown}, {shown}", request)


def _or_failure(outcome: Outcome, cell: Callable[[Outcome], str]) -> str:
    if not outcome.failure:
        return cell(outcome)
    shown = outcome.failure
    if len(shown) > _FAILURE_SHOWN:
        shown = f"{shown[:_FAILURE_SHOWN]}…"
    return f"fails: {shown} ({_memory(outcome.peaks[-1])})" if outcome.peaks else shown


def _memory(peak: Memory) -> str:
    """The tree's peak, and what shared memory that nobody maps adds to it, where that is much."""
    shown = ("≈" if peak.hidden else "") + megabytes(peak.pss)
    if peak.held > peak.pss * 1.05:
        shown += f" (held: {megabytes(peak.held)})"
    return shown


def _context_cells(outcome: Outcome) -> list[str]:
    if outcome.failure:
        return [_or_failure(outcome, str), *[""] * (len(_CONTEXT_COLUMNS) - 1)]
    handed, sliced, small, scanned = (
        seconds(outcome.measured[name]) for name in ("handed", "sliced", "small", "scanned")
    )
    before, after = map(_memory, outcome.peaks[:2])
    return [handed, sliced, small, before, scanned, after]


def gather(chosen: tuple[str, ...], rlms_python: Path | None) -> Rivals:
    """Prepare whom the chosen cases need."""
    rivals = Rivals(python=dict.fromkeys(("rlm_dspy", "deno", "local"), sys.executable))
    if "deno" in chosen:
        try:
            prepared = deno.prepare()
            rivals.environment["deno"] = prepared.environment
            rivals.versions.append(f"Deno {prepared.version}")
            if prepared.stand_in:
                rivals.notes.append(
                    "dspy, Deno: its runner's line reader is a stand-in (see `bench/deno.py`), for "
                    "a module of Deno's standard library that no package registry has."
                )
        except Unavailable as error:
            rivals.absent["deno"] = str(error)
    if "rlms" in chosen:
        try:
            python = rlms.prepare(rlms_python)
            rivals.python["rlms"] = str(python)
            rivals.versions.append(f"rlms {rlms.version(python)}")
        except Unavailable as error:
            rivals.absent["rlms"] = str(error)
    return rivals


def main() -> None:
    """Measure everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--max-size", choices=_SIZES, default="1GB", help="the longest text")
    parser.add_argument("--limit", type=float, default=60, help="seconds for one case")
    parser.add_argument("--steps", type=int, default=200, help="how many trivial steps")
    parser.add_argument("--only", choices=_SECTIONS, nargs="+", default=_SECTIONS)
    parser.add_argument("--rivals", choices=NAMES, nargs="+", default=tuple(NAMES))
    parser.add_argument("--rlms", type=Path, help="the Python of an environment that has rlms")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if not sys.platform.startswith("linux"):
        parser.error("needs Linux: memory is read from /proc")
    adopt_orphans()
    print(header(command_line("bench.repl")), f"\nseed: {given.seed}", flush=True)
    chosen = tuple(given.rivals)
    rivals = gather(chosen, given.rlms)
    bench = Bench(rivals, chosen, given.limit, machine_memory() // 2, given.steps)
    print("rivals:", ", ".join(rivals.versions) or "as above")
    print(f"limits of a case: {given.limit:g} s, {megabytes(bench.limit)}", flush=True)
    sections = {
        "start": bench.start,
        "steps": bench.step_times,
        "sessions": bench.sessions,
        "timeout": bench.timeout,
    }
    rows = [row for name, rows in sections.items() if name in given.only for row in rows()]
    if rows:
        print(f"\n{table(['', *(NAMES[rival] for rival in chosen)], rows)}", flush=True)
    if "contexts" in given.only:
        names = list(_SIZES)[: list(_SIZES).index(given.max_size) + 1]
        sizes = {name: _SIZES[name] for name in names}
        for shown in bench.contexts(sizes, given.seed):
            print(f"\n{shown}", flush=True)
        if "rlm_dspy" in chosen:
            print(f"\n{bench.growth(names[-1], sizes[names[-1]], given.seed)}", flush=True)
    for note in (_LEGEND, *rivals.notes):
        print(f"\n{note}")


if __name__ == "__main__":
    main()
