"""The corpus of escapes, and the judge that says whether one of them did harm."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROWS = Path(__file__).parent / "corpus" / "escapes.jsonl"
OWN = Path(__file__).parent / "corpus" / "own.txt"
NEWER = Path(__file__).parent / "corpus" / "newer.txt"
# What can be seen from the output and the submitted value alone, without a process of its own.
VISIBLE = frozenset({"marker", "forged", "control", "output"})
MAX_OUTPUT = 100_000
RAW_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def load() -> list[dict[str, Any]]:
    return [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()]


def load_own() -> list[dict[str, Any]]:
    """Rows against what this project's own policy allows more than RestrictedPython does."""
    return _blocks(OWN, "own")


def load_newer() -> list[dict[str, Any]]:
    """Rows against what Python has gained since 3.11.

    Where the syntax itself is newer, "python" says from which version on: (3, 12).
    """
    return _blocks(NEWER, "newer")


def _blocks(path: Path, prefix: str) -> list[dict[str, Any]]:
    rows = []
    for block in path.read_text(encoding="utf-8").split("### ")[1:]:
        head, _, code = block.partition("\n")
        name, _, version = head.partition(" >=")
        row = {"id": f"{prefix}-{name}", "harm": "marker", "steps": code.split("---\n")}
        if version:
            row["python"] = tuple(map(int, version.split(".")))
        rows.append(row)
    return rows


def prepared(row: dict[str, Any], *, canary: str, secret: str) -> list[str]:
    """The row's steps, with the files that it would write and read in their places."""
    return [
        step.replace("{canary}", canary).replace("{secret}", secret)
        if row["harm"] in ("canary", "secret", "marker")
        else step
        for step in row["steps"]
    ]


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
