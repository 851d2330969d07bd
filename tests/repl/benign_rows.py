"""The corpus of honest code: steps over a text, and what plain CPython prints for them.

`benign.jsonl` came with the task; `benign_own.jsonl` is this project's, with the output of CPython
3.11.7 for the same stand-ins of the REPL's functions. `benign_newer.jsonl` has what a row prints
from a later version on (a message or a `repr` that changed): CPython 3.12.1, 3.13.0 and 3.14.8.
"""

import json
import sys
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def _lines(name):
    return [json.loads(line) for line in (CORPUS / name).read_text(encoding="utf-8").splitlines()]


ROWS = _lines("benign.jsonl") + _lines("benign_own.jsonl")
_BY_ID = {row["id"]: row for row in ROWS}
for _later in _lines("benign_newer.jsonl"):
    if sys.version_info >= tuple(_later["python"]):
        _BY_ID[_later["id"]]["expect_stdout"] = _later["expect_stdout"]


def echo(prompt):
    """What the sub-query of the corpus answers."""
    return "echo:" + prompt[:24].replace("\n", " ")
