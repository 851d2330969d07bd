"""Where records end: the rows of a table, the lines of a log or of JSON lines, or blocks of lines.

What a text holds is known by its file's name, else by how it begins.
"""

import csv
import json
import re
from collections.abc import Callable
from functools import partial

Ends = Callable[[str], list[int]]

_BY_SUFFIX = {"jsonl": "", "ndjson": "", "log": "", "csv": ",", "tsv": "\t", "tab": "\t"}
_DELIMITERS = (",", "\t", ";", "|")
_SAMPLED_ROWS = 20
_NEWLINE = re.compile(r"\n")
# A block ends behind its blank lines, which belong to it.
_BLANK_LINES = re.compile(r"\n(?:[ \t\r\f\v]*\n)+")
# What follows an opening quote, up to the closing one; a quote that nothing closes is a character.
_QUOTED = re.compile(r'(?:[^"]|""){0,100000}+"')


def line_ends(text: str) -> list[int]:
    """The offsets behind each line."""
    return [found.end() for found in _NEWLINE.finditer(text)]


def paragraph_ends(text: str) -> list[int]:
    """The offsets behind each paragraph and its blank lines; more of them may follow the last."""
    return [found.end() for found in _BLANK_LINES.finditer(text)]


def record_ends(name: str, sample: str) -> Ends:
    """What finds the ends of the records of a text.

    Args:
        name: The name of the file that it came from, or "".
        sample: How it begins.

    Returns:
        A function of a text that begins with a record: the offsets behind each record in it.
    """
    delimiter = _BY_SUFFIX.get(name.rpartition(".")[2].lower())
    if delimiter is None:
        delimiter = "" if _is_json(sample) else _delimiter(sample)
    if delimiter:
        return partial(_row_ends, delimiter=delimiter)
    if delimiter is None and _BLANK_LINES.search(sample.strip()):
        return paragraph_ends
    return line_ends


def _is_json(sample: str) -> bool:
    first = sample.lstrip().partition("\n")[0]
    if not first.startswith("{"):
        return False
    try:
        json.loads(first)
    except ValueError:
        return False
    return True


def _delimiter(sample: str) -> str | None:
    """The delimiter of a table's cells; None where it is no table."""
    lines = sample.splitlines()[:_SAMPLED_ROWS]
    for delimiter in _DELIMITERS:
        try:
            widths = {len(row) for row in csv.reader(lines, delimiter=delimiter)}
        except csv.Error:
            continue
        if len(lines) > 1 and len(widths) == 1 and widths.pop() > 1:
            return delimiter
    return None


def _row_ends(text: str, *, delimiter: str) -> list[int]:
    """The offsets behind each row; a quoted cell may hold newlines (RFC 4180)."""
    ends: list[int] = []
    at = 0
    while (end := text.find("\n", at)) >= 0:
        if text.find('"', at, end) >= 0:
            end = _row_end(text, at, delimiter)
            if end < 0:
                break
        at = end + 1
        ends.append(at)
    return ends


def _row_end(text: str, at: int, delimiter: str) -> int:
    """Where the newline of the row is that begins at an offset; -1 where it is not in the text."""
    stop = re.compile(f"[{re.escape(delimiter)}\n]")
    while True:
        if text.startswith('"', at) and (closed := _QUOTED.match(text, at + 1)) is not None:
            at = closed.end()
        found = stop.search(text, at)
        if found is None:
            return -1
        if found.group() == "\n":
            return found.start()
        at = found.end()
