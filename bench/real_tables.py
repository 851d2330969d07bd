"""The programs of `programs/` on the embedded models: every run, then the page's section.

    uv run --all-extras python -m bench.real_tables --out runs/real
    uv run --all-extras python -m bench.real_tables --out runs/real --page docs/results.md

The first command makes the runs, one after another; each is a `python -m eval run` of its own and
goes on where it was, so that the command can be ended and given again at any time. It takes hours.
The second makes no run: it puts the tables of all runs that are there into a page.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.compare import comparison, read_runs
from eval.ledger import RESULTS
from eval.report import LEGEND

TITLE = "## Programs on the embedded models"
COMMAND = "    uv run --all-extras python -m bench.real_tables --out runs/real"
BUSY = (
    "Where it is above the number of cores, other work took its part of them: seconds are longer "
    "and time-outs more than on a machine of one's own."
)
SECONDS = 120


@dataclass(frozen=True)
class Setting:
    """What runs that are compared have in common.

    Args:
        model: The embedded model's name.
        task: The task.
        length: The contexts' length in thousands of tokens.
        n: How many examples.
    """

    model: str
    task: str
    length: int
    n: int

    @property
    def name(self) -> str:
        """The folder of its runs."""
        return f"{self.model}-{self.task}-{self.length}k"

    def command(self, program: str, out: Path) -> list[str]:
        """The arguments of `python -m eval` for one run."""
        # One at a time: examples that share a model wait for each other.
        options = {
            "program": program,
            "lm": f"local/{self.model}",
            "n": self.n,
            "lengths": f"{self.length}k",
            "budget-seconds": SECONDS,
            "workers": 1,
            "out": out / self.name / program,
        }
        generated = ["--generated"] if self.task == "oolong_synth" else []
        named = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        return ["run", self.task, *generated, *named]


SMOL, SMALL, LARGE = "smollm2-135m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"
OWN = {"niah": "needle", "oolong_synth": "aggregate"}
OTHERS = ("direct_truncated", "retrieve", "map_reduce", "rlm")


def jobs() -> list[tuple[Setting, str]]:
    """Every run as its setting and its program, in the order in which they are made."""
    found: list[tuple[Setting, str]] = []

    def add(model: str, length: int, n: int, *programs: str) -> None:
        for task, own in OWN.items():
            setting = Setting(model, task, length, n)
            found.extend((setting, own if name == "own" else name) for name in programs)

    add(SMALL, 4, 10, "own", *OTHERS)
    add(SMALL, 128, 10, "own", "retrieve")
    add(SMALL, 4, 10, "dspy_rlm")
    add(SMOL, 2, 5, "own", *OTHERS)
    add(LARGE, 2, 5, "own", *OTHERS)
    return found


def make_runs(out: Path) -> int:
    """Makes the runs, or goes on with them.

    Args:
        out: Their folder.

    Returns:
        How many of them ended with an error.
    """
    failed = 0
    for setting, program in jobs():
        command = [sys.executable, "-m", "eval", *setting.command(program, out)]
        failed += subprocess.run(command, check=False).returncode != 0
    return failed


def section(out: Path) -> str:
    """The page's section: how the runs were made, and a comparison a setting of what is complete.

    Args:
        out: The runs' folder.
    """
    programs: dict[Setting, list[str]] = {}
    for setting, program in jobs():
        if (out / setting.name / program / RESULTS).exists():
            programs.setdefault(setting, []).append(program)
    starts: list[dict[str, Any]] = []
    parts: list[str] = []
    for setting, names in programs.items():
        folders = [out / setting.name / name for name in names]
        runs = [run for run in read_runs(folders) if not run.missing] if folders[1:] else []
        if len(runs) > 1:
            starts += [run.start["made_with"] for run in runs]
            parts += [_title(setting), comparison(runs).removesuffix(_legend()).rstrip()]
    return "\n\n".join([TITLE, COMMAND, *_made_with(starts), _legend(), *parts])


def with_section(page: str, text: str) -> str:
    """A page with a section in place of that of the same title, or behind all others."""
    title = text.partition("\n")[0]
    before, there, rest = page.partition(f"{title}\n")
    _, more, behind = rest.partition("\n## ") if there else ("", "", "")
    return f"{before.rstrip()}\n\n{text}\n" + (f"\n## {behind}" if more else "")


def _title(setting: Setting) -> str:
    return f"### {setting.model}: {setting.task}, {setting.length}k tokens, n = {setting.n}"


def _legend() -> str:
    return LEGEND.format(seconds=SECONDS)


def _made_with(starts: Sequence[dict[str, Any]]) -> list[str]:
    """The versions and the machines of some runs, each once, and how busy the machines were."""
    loads = sorted(float(made["machine"].rpartition(", load ")[2].split()[0]) for made in starts)
    told = dict.fromkeys(
        f"{made['versions']}; commit {made['commit']}; {made['machine'].rpartition(', load ')[0]}."
        for made in starts
    )
    if not loads:
        return []
    return [*told, f"Load at the start of a run: {loads[0]} to {loads[-1]}. {BUSY}"]


def main() -> int:
    """Makes the runs, or writes their section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the runs' folder")
    parser.add_argument("--page", type=Path, help="put the tables into this page, make no run")
    given = parser.parse_args()
    if given.page is None:
        return int(make_runs(given.out) > 0)
    page = given.page.read_text(encoding="utf-8")
    given.page.write_text(with_section(page, section(given.out)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
