"""The corpus of escapes, and the judge that says whether one of them did harm."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROWS = Path(__file__).parent / "corpus" / "escapes.jsonl"
NEWER = Path(__file__).parent / "corpus" / "newer.txt"
OWN = sorted(set((Path(__file__).parent / "corpus").glob("*.txt")) - {NEWER})
# What can be seen from the output and the submitted value alone, without a process of its own.
VISIBLE = frozenset({"marker", "forged", "control", "output"})
MAX_OUTPUT = 100_000
_FILES = frozenset({"canary", "secret", "marker"})
RAW_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def load() -> list[dict[str, Any]]:
    return [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]


def load_own() -> list[dict[str, Any]]:
    """Rows against what this project's own policy allows more than RestrictedPython does."""
    return [row for path in OWN for row in _blocks(path, "own")]


def load_newer() -> list[dict[str, Any]]:
    """Rows against what Python has gained since 3.11.

    Where the syntax itself is newer, "python" says from which version on: (3, 12).
    """
    return _blocks(NEWER, "newer")


def _blocks(path: Path, prefix: str) -> list[dict[str, Any]]:
    """The rows of a text.

    A row begins with "### name", "### name (harm)" or "### name >=3.12"; "---" parts its steps.
    """
    rows = []
    for block in re.split(r"^### ", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
        head, _, code = block.partition("\n")
        name, _, version = head.partition(" >=")
        name, _, harm = name.rstrip(")").partition(" (")
        steps = re.split(r"^---\n", code, flags=re.M)
        row = {"id": f"{prefix}-{name}", "harm": harm or "marker", "steps": steps}
        if version:
            row["python"] = tuple(map(int, version.split(".")))
        rows.append(row)
    return rows


# Code that is too long to stand in a row.
LONG = {
    "{long}": "L" * 200_000,
    "{name}": "n" * 200_000,
    "{huge}": f"'{'x' * 10_000_000}'",
    "{deep_parentheses}": "(" * 5_000 + "1" + ")" * 5_000,
    "{deep_lists}": "[" * 5_000 + "]" * 5_000,
    "{deep_dicts}": "{1:" * 5_000 + "1" + "}" * 5_000,
    "{deep_calls}": "f(" * 5_000 + ")" * 5_000,
    "{deep_lambdas}": "lambda: " * 50_000 + "1",
    "{deep_attributes}": "a" + ".b" * 50_000,
    "{deep_conditions}": "1 if a else " * 50_000 + "1",
    "{deep_elifs}": "if a: pass\n" + "elif a: pass\n" * 20_000,
    "{deep_ifs}": "".join(" " * i + "if a:\n" for i in range(90)) + " " * 90 + "pass",
    "{deep_fstrings}": 'f"{' * 100 + "1" + '}"' * 100,
    "{deep_comparisons}": "1" + " < 1" * 100_000,
    "{deep_comprehensions}": "[" * 150 + "1" + " for x in y]" * 150,
    "{deep_subscripts}": "a" + "[0]" * 50_000,
    "{many_statements}": "x = 1\n" * 200_000,
    "{many_arguments}": "1, " * 200_000,
}


def prepared(row: dict[str, Any], *, canary: str, secret: str) -> list[str]:
    """The row's steps, with the files that it would write and read in their places."""
    places = {"{canary}": canary, "{secret}": secret} if row["harm"] in _FILES else {}
    if row["id"].startswith("own-"):
        places |= LONG
    steps = row["steps"]
    for place, text in places.items():
        steps = [step.replace(place, text) if place in step else step for step in steps]
    return steps


def judge(
    row: dict[str, Any],
    outputs: Sequence[str],
    *,
    submitted: Sequence[Any] = (),
    canary: str | Path | None = None,
    secret_text: str = "S3CRET",
) -> str:
    """What harm is visible; empty where there is none.

    Args:
        row: The row.
        outputs: Each step's output and error text, as shown.
        submitted: What the steps submitted, as the host got it.
        canary: The file that must not exist.
        secret_text: What must not appear.
    """
    text = "\n".join(outputs)
    if row["harm"] == "marker" and re.search("^ESCAPED", text, re.M):
        return "a line ESCAPED"
    if secret_text in text or secret_text in repr(list(submitted)):
        return "the secret came out"
    if canary is not None and Path(canary).exists():
        return "the canary file was written"
    if row["harm"] == "forged" and any("FORGED" in repr(value) for value in submitted):
        return "a forged value was submitted"
    if row["harm"] == "control" and RAW_CONTROL.search(text):
        return "raw control characters came out"
    if any(len(output) > MAX_OUTPUT for output in outputs):
        return "too much output came out"
    return ""
