"""XLSX: one document a sheet, as CSV, its rows in their places: line 7 is row 7.

Cells hold values, not formulas: what was computed when the file was saved. A cell with a line break
is quoted, as CSV has it, and then the lines below it are further down than their rows.
"""

import datetime
from collections.abc import Iterable, Iterator
from typing import Any

from rlm_dspy.context.readers.base import Blob, Part, needed
from rlm_dspy.context.readers.limits import Unreadable
from rlm_dspy.context.readers.tables import csv_lines
from rlm_dspy.context.readers.zips import opened_zip

# What is no worksheet and read as a whole: strings, styles, the list of sheets.
_MOST_SHARED_BYTES = 256 << 20


def read(blob: Blob, kind: str) -> Iterator[Part]:
    """The sheets that have cells.

    Args:
        blob: The file.
        kind: "xlsx".
    """
    needed("defusedxml", "defusedxml")  # openpyxl parses with it where it is installed
    openpyxl = needed("openpyxl", "openpyxl")
    with opened_zip(blob) as archive:
        infos = archive.infolist()
    shared = sum(i.file_size for i in infos if not i.filename.startswith("xl/worksheets/"))
    if shared > _MOST_SHARED_BYTES:
        raise Unreadable(f"holds {shared:,} bytes beside its sheets: too much to parse")
    if (largest := max(i.file_size for i in infos)) > blob.limits.parsed_bytes:
        raise Unreadable(f"a sheet of it has {largest:,} bytes: too much to parse")
    with blob.open() as stream:
        book = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
        try:
            sheets = book.worksheets
            if len(sheets) > blob.limits.pages:
                raise Unreadable(f"has {len(sheets):,} sheets, more than {blob.limits.pages:,}")
            for sheet in sheets:
                sheet.reset_dimensions()  # what a file declares may be wrong, or hostile
                lines = csv_lines(_rows(blob, sheet))
                about: dict[str, Any] = {"kind": kind, "sheet": sheet.title}
                if sheet.sheet_state != "visible":
                    about["hidden"] = True
                yield blob.part(lines, f"sheet={sheet.title}", **about)
        finally:
            book.close()


def _rows(blob: Blob, sheet: Any) -> Iterator[Iterable[Any]]:
    """The rows up to the last one with a value, each up to its last value."""
    empty = 0
    for row in sheet.iter_rows(values_only=True):
        blob.allowance.take_cells(max(len(row), 1))
        filled = [number for number, value in enumerate(row, 1) if value is not None]
        if not filled:
            empty += 1
            continue
        yield from ((),) * empty
        empty = 0
        yield map(_shown, row[: filled[-1]])


def _shown(value: Any) -> Any:
    """A value as its sheet shows it: a day is stored as its midnight."""
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date()
    return value
