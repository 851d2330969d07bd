"""Tables in a document, cell by cell with its place: Markdown's, and CSV or TSV.

Read is what is certainly a table: a Markdown one with its line of dashes; a document that is CSV or
TSV by its name, or all of whose lines have the same number of cells. A row that has more or fewer
cells than the header, or a cell that goes on in another line, makes it none.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from rlm_dspy.context.lines import line_ranges

# Longer documents are not read as tables, characters.
MOST_CHARS = 64 << 20
_RULE = re.compile(r"\s*\|?(?:\s*:?-+:?\s*\|)+(?:\s*:?-+:?\s*)?\|?\s*")
_BAR = re.compile(r"(?:\\.|[^|\\])*")
_QUOTED = r'"(?:[^"]|"")*"'
_NAMES = re.compile(r"\.(?P<kind>csv|tsv)$|#(?:sheet|table)=", re.IGNORECASE)


class Cell(NamedTuple):
    """A cell.

    Attributes:
        text: What it says.
        start: Where that starts, in characters of the whole context.
        end: Where it ends there.
    """

    text: str
    start: int
    end: int


class Table(NamedTuple):
    """A table: its column names, and its rows, each as long as the header."""

    header: tuple[str, ...]
    rows: list[list[Cell]]


def tables_in(document: Any) -> list[Table]:
    """The tables of a document, in order; none of one that is too long."""
    if len(document) > MOST_CHARS:
        return []
    lines = line_ranges(str(document), document.start)
    found = list(_markdown(lines))
    if found:
        return found
    named = _NAMES.search(str(document.title)) or _NAMES.search(document.path or "")
    for separator in _separators(named):
        if table := _separated(lines, separator, certain=named is not None):
            return [table]
    return []


def _separators(named: "re.Match[str] | None") -> str:
    if named is None:
        return "\t,;"
    return "\t" if (named["kind"] or "").lower() == "tsv" else ",;"


def _markdown(lines: list[tuple[int, int, str]]) -> Iterator[Table]:
    for barred, run in groupby(lines, key=lambda line: "|" in line[2]):
        block = list(run)
        if barred and len(block) >= 3 and _RULE.fullmatch(block[1][2]):
            rows = [_bars(at, text) for at, _, text in (block[0], *block[2:])]
            if table := _table(rows):
                yield table


def _bars(at: int, text: str) -> list[Cell]:
    """The cells of a Markdown row, without the bars at its ends."""
    low = len(text) - len(text.lstrip())
    low += text[low : low + 1] == "|"
    high = len(text.rstrip())
    high -= high > low and text[high - 1] == "|" and text[high - 2 : high - 1] != "\\"
    cells = []
    while low <= high:
        match = _BAR.match(text, low, high)
        assert match is not None  # it matches nothing, too
        cells.append(_cell(at, text, low, match.end(), match[0].replace("\\|", "|")))
        low = match.end() + 1
    return cells


def _separated(lines: list[tuple[int, int, str]], separator: str, *, certain: bool) -> Table | None:
    sep = re.escape(separator)
    piece = re.compile(rf'(?:(?P<quoted>{_QUOTED})|(?P<bare>[^"{sep}][^{sep}]*|))(?={sep}|$)')
    full = [line for line in lines if line[2].strip()]
    if len(full) < 2 or separator not in full[0][2] or (not certain and len(full) < 3):
        return None
    rows = []
    for at, _, text in full:
        cells, low = [], 0
        while low <= len(text):
            match = piece.match(text, low)
            if match is None:  # a quote that goes on in the next line, or is none
                return None
            quoted = match["quoted"]
            said = quoted[1:-1].replace('""', '"') if quoted is not None else match["bare"]
            inner = quoted is not None
            cells.append(_cell(at, text, low + inner, match.end() - inner, said))
            low = match.end() + 1
        rows.append(cells)
    return _table(rows)


def _cell(at: int, text: str, low: int, high: int, said: str) -> Cell:
    raw = text[low:high]
    start = low + len(raw) - len(raw.lstrip())
    return Cell(said.strip(), at + start, at + max(start, low + len(raw.rstrip())))


def _table(rows: Iterable[list[Cell]]) -> Table | None:
    header, *body = rows
    names = tuple(cell.text for cell in header)
    distinct = len({name.casefold() for name in names}) == len(names) and all(names)
    same = all(len(row) == len(names) for row in body)
    return Table(names, body) if len(names) > 1 and body and distinct and same else None
