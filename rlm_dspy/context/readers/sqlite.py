"""SQLite: one document a table, as CSV under a line of column names.

The file is opened read-only and as immutable: nothing is written beside it, and changes that wait
in a write-ahead log are not seen. Views are left out, since they repeat what tables hold; so are
the tables that full-text search keeps for itself.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote

from rlm_dspy.context.readers.base import Blob, Part, Skipped, parsing
from rlm_dspy.context.readers.limits import Exhausted, Unreadable
from rlm_dspy.context.readers.tables import csv_lines

# How many instructions of SQLite's machine run between two looks at the time.
_INSTRUCTIONS = 100_000
# Where the header says who may read and write (https://www.sqlite.org/fileformat2.html, 1.3.3).
_VERSIONS = slice(18, 20)


def read(blob: Blob, kind: str) -> Iterator[Part | Skipped]:
    """The tables, by name.

    Args:
        blob: The file.
        kind: "sqlite".
    """
    with closing(_opened(blob)) as database:
        # What a hostile schema could do: call functions, and name pages that are not there.
        database.execute("PRAGMA trusted_schema = OFF")
        database.execute("PRAGMA cell_size_check = ON")
        database.text_factory = _text
        database.set_progress_handler(lambda: _late(blob), _INSTRUCTIONS)
        found = database.execute(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN "
            "('table', 'virtual') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
        )
        names = [name for (name,) in found.fetchall()]
        if len(names) > blob.limits.members:
            raise Exhausted(f"has more than {blob.limits.members:,} tables")
        for name in names:
            quoted = '"' + name.replace('"', '""') + '"'
            try:
                with parsing("a table"):
                    (count,) = database.execute(f"SELECT count(*) FROM {quoted}").fetchone()
            except Unreadable as error:
                blob.allowance.check_time()  # it may have been interrupted
                yield blob.skipped(f"table={name}", error.message)
                continue
            if count:
                lines = csv_lines(_rows(blob, database, quoted))
                yield blob.part(lines, f"table={name}", kind=kind, table=name, rows=count)


def _opened(blob: Blob) -> sqlite3.Connection:
    if blob.file is not None:
        uri = f"file:{quote(str(blob.file.absolute()))}?mode=ro&immutable=1"
        return sqlite3.connect(uri, uri=True, check_same_thread=False)
    database = sqlite3.connect(":memory:", check_same_thread=False)
    data = bytearray(blob.read())
    if data[_VERSIONS] == b"\2\2":  # a log beside it, which memory cannot have
        data[_VERSIONS] = b"\1\1"
    database.deserialize(data)
    return database


def _text(raw: bytes) -> str:
    """A text, which other programs may have stored in another encoding."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _late(blob: Blob) -> bool:
    """Whether to interrupt; an error raised here would be lost."""
    try:
        blob.allowance.check_time()
    except Exhausted:
        return True
    return False


def _rows(blob: Blob, database: sqlite3.Connection, table: str) -> Iterator[Iterable[Any]]:
    cursor = database.execute(f"SELECT * FROM {table}")
    yield [column[0] for column in cursor.description]
    for row in cursor:
        blob.allowance.take_cells(len(row))
        yield row
