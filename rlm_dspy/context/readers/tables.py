"""Rows of cells as CSV lines, and rows of named values as JSON lines."""

import csv
import datetime
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_LINES_A_PIECE = 1_000


def csv_lines(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Rows as CSV (RFC 4180, but lines end by a line feed alone), many lines a piece."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for number, row in enumerate(rows, 1):
        writer.writerow([_cell(value) for value in row])
        if number % _LINES_A_PIECE == 0:
            yield _taken(buffer)
    yield _taken(buffer)


def json_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Rows as JSON objects, one a line, many lines a piece."""
    lines = []
    for row in rows:
        lines.append(json.dumps(row, ensure_ascii=False, default=_cell) + "\n")
        if len(lines) == _LINES_A_PIECE:
            yield "".join(lines)
            lines.clear()
    yield "".join(lines)


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def _cell(value: Any) -> str:
    """A value as text: dates as ISO 8601 has them, bytes by their number."""
    if value is None:
        return ""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return str(value)
