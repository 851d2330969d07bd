"""The SQLite file that runs lie in: opened, read and written by many processes and threads."""

import os
import sqlite3
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from rlm_dspy.errors import StoreError
from rlm_dspy.runs.tables import SCHEMA, VERSION

MEMORY = ":memory:"
# How long a write waits for another process's, seconds.
BUSY_SECONDS = 30.0
# What an SQLite file begins with.
_MAGIC = b"SQLite format 3\0"
_NO_DATABASE = "not a database"  # as SQLite says it


class Database:
    """The file.

    Args:
        path: Its name; ":memory:" for one that ends with the process.

    Raises:
        StoreError: It cannot be opened, or holds no runs.
    """

    def __init__(self, path: str | Path):
        self.path = str(path)
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._db = self._opened()

    def _opened(self) -> sqlite3.Connection:
        path = Path(self.path).expanduser()
        try:
            if self.path != MEMORY:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                _refuse_other_files(path)
            db = sqlite3.connect(
                str(path) if self.path != MEMORY else MEMORY,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            _refuse_other_databases(db)
            if self.path != MEMORY:
                os.chmod(path, 0o600)
            _use_log(db)
            db.execute("PRAGMA synchronous = NORMAL")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise StoreError(
                    f"The run store {self.path} was written by a newer version (its format is "
                    f"{version}, this one knows {VERSION}): update rlm_dspy, or name another file "
                    "by RLM_STORE.",
                    path=self.path,
                )
            if version < VERSION:
                db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version={VERSION}; COMMIT")
        except (sqlite3.Error, OSError) as error:
            raise self._failure(error) from error
        return db

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _writing(self) -> Generator[sqlite3.Connection]:
        with self._lock:
            self._follow_fork()
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                self._undo()
                raise self._failure(error) from error
            except BaseException:
                self._undo()
                raise

    def _undo(self) -> None:
        self._forget()
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:  # the failure itself is what is told
            return

    def _forget(self) -> None:
        """What was undone, or written by another process, is not known to be there."""

    def _follow_fork(self) -> None:
        """A connection may not be carried over a fork."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._forget()
            self._db = self._opened()

    def _all(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            self._follow_fork()
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise self._failure(error) from error

    def _failure(self, error: Exception) -> StoreError:
        what = str(error)
        advice = "name another file by RLM_STORE, or turn recording off by RLM_RECORD=off"
        if "full" in what or "No space" in what:
            advice = "make room there, delete runs (`rlm delete`), or " + advice
        elif _NO_DATABASE in what or "malformed" in what:
            advice = "it is no run store or is broken: move it away, or " + advice
        return StoreError(
            f"The run store {self.path} cannot be used: {what}. {advice[0].upper()}{advice[1:]}.",
            path=self.path,
        )

    def select(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What a query finds.

        Raises:
            StoreError: The file cannot be read.
        """
        return self._all(sql, values)

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that no other process writes in the middle of.

        Raises:
            StoreError: The file cannot be written; nothing of it was.
        """
        return self._writing()

    def size(self) -> int:
        """What the runs take, in bytes."""
        pages, free, page = (
            self._all(f"PRAGMA {name}")[0][0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * page


def _refuse_other_files(path: Path) -> None:
    """Refuses what is no database, before anything of it is changed.

    Raises:
        sqlite3.DatabaseError: It is none.
        OSError: It cannot be read.
    """
    if not path.exists():
        return
    if not path.is_file():
        raise sqlite3.DatabaseError("it is no regular file")
    with path.open("rb") as file:
        begin = file.read(len(_MAGIC))
    if begin not in (b"", _MAGIC):
        raise sqlite3.DatabaseError(f"file is {_NO_DATABASE}")


def _refuse_other_databases(db: sqlite3.Connection) -> None:
    """Refuses the database of another program.

    Raises:
        sqlite3.DatabaseError: It is one.
    """
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and "runs" not in tables:
        raise sqlite3.DatabaseError(f"it is {_NO_DATABASE} of runs")


def _use_log(db: sqlite3.Connection) -> None:
    """Turns the write-ahead log on; SQLite does not wait by itself while another one does."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
