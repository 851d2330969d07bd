r"""What a text says for certain, found without a model: labelled fields, tables, patterns.

Each function gives every place that answers; whether they agree is the caller's to judge. Patterns
are matched line by line, in linear time where `grep` is.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from rlm_dspy.context.extraction import after
from rlm_dspy.context.tables import Cell, Table, tables_in

# More finds than this are no single answer.
MOST_FINDS = 1_000
_OPENS = r"[\s>#*_`\"'|-]*"
_LABELLED = _OPENS + r"{label}[\s*_`\"']*[:=：]+[\s*_`]*(?P<value>\S.*?)\s*"
# Of what begins here the lines that follow say the rest (YAML's block scalars, JSON).
_BLOCKS = frozenset(["{", "[", "(", "|", "|-", "|+", ">", ">-", ">+", "```"])
_WRAPS = (("**", "**"), ("__", "__"), ("`", "`"), ('"', '"'), ("'", "'"))


class Find(NamedTuple):
    """A text that was found.

    Attributes:
        text: What it says, as an answer; "" where it says none.
        start: Where it stands, in characters of the whole context.
        end: Where it ends there.
    """

    text: str
    start: int
    end: int


def matches(piece: Any, pattern: str) -> Iterator[Find]:
    """What a pattern finds: its group `value`, else its first group, else all of it.

    Raises:
        ContextError: The pattern is refused.
    """
    compiled = re.compile(pattern)
    group: Any = "value" if "value" in compiled.groupindex else min(compiled.groups, 1)
    for hit in piece.grep(pattern):
        for match in compiled.finditer(hit.text):
            if match[group]:
                yield _find(hit, *match.span(group))


def afters(piece: Any, marker: str) -> Iterator[Find]:
    """What stands behind a marker, up to the end of its line."""
    for found in after(piece, marker, "\n", max_chars=len(piece)):
        if found:
            yield Find(str(found), found.start, found.end)


def fields(piece: Any, label: str) -> Iterator[Find]:
    """The values of `label: value` lines, in Markdown, JSON, YAML or plain text; any case."""
    words = r"\s+".join(map(re.escape, label.split()))
    line = re.compile(_LABELLED.format(label=words), re.IGNORECASE)
    for hit in piece.grep(words, ignore_case=True):
        if match := line.fullmatch(str(hit.text)):
            yield _bare(hit, *match.span("value"))


def cells(piece: Any, column: str, where: Mapping[str, str]) -> Iterator[Find]:
    """The cells of a column, of the rows that have these values in these other columns."""
    for table, rows in _rows(piece, column, where):
        place = _column(table, column)
        for row in rows:
            yield Find(*row[place])


def counted(piece: Any, column: str | None, where: Mapping[str, str]) -> Iterator[list[Find]]:
    """For each table that has these columns, the cells of the rows that fit; the first, if any."""
    for table, rows in _rows(piece, column, where):
        place = _column(table, column) if column else 0
        yield [Find(*row[place]) for row in rows]


def _rows(
    piece: Any, column: str | None, where: Mapping[str, str]
) -> Iterator[tuple[Table, list[list[Cell]]]]:
    needed = [*where, *([column] if column else [])]
    for document in getattr(piece, "documents", [piece]):
        for table in tables_in(document):
            names = {name.casefold() for name in table.header}
            if all(name.strip().casefold() in names for name in needed):
                wanted = {_column(table, n): v.strip().casefold() for n, v in where.items()}
                fit = (r for r in table.rows if _fits(r, wanted))
                yield table, list(fit)


def _fits(row: list[Cell], wanted: Mapping[int, str]) -> bool:
    return all(row[place].text.casefold() == value for place, value in wanted.items())


def _column(table: Table, name: str) -> int:
    return [n.casefold() for n in table.header].index(name.strip().casefold())


def _bare(hit: Any, low: int, high: int) -> Find:
    """A value without what JSON and Markdown put around it."""
    text = str(hit.text)
    if text[:low].rstrip().endswith('":'):
        high -= text[low:high].endswith(",")
        if (said := _json_value(text[low:high])) is not None:
            return Find(said, hit.start + low, hit.start + high)
    if text[low:high] in _BLOCKS:
        return Find("", hit.start + low, hit.start + high)
    for opens, closes in _WRAPS:
        inside = text[low + len(opens) : high - len(closes)]
        if text[low:high] == f"{opens}{inside}{closes}" and opens not in inside:
            low, high = low + len(opens), high - len(closes)
    if text[low:high].endswith("**") and text[low:high].count("**") == 1:
        high -= 2
    return _find(hit, low, high)


def _json_value(written: str) -> str | None:
    """What a JSON value says, "" where that is no answer; None where it may be something else."""
    try:
        value = json.loads(written)
    except ValueError:
        return "" if '"' in written or written.endswith(("}", "]", *_BLOCKS)) else None
    return value if isinstance(value, str) else "" if value is None else written


def _find(hit: Any, low: int, high: int) -> Find:
    return Find(str(hit.text)[low:high], hit.start + low, hit.start + high)
