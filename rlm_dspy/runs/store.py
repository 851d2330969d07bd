"""The store of runs: one SQLite file, written as runs happen, safe with many processes.

Promised: what `append` was given is in the file when it returns, so that a process that is killed
loses nothing it has used; a torn write is undone when the file is opened next (SQLite's write-ahead
log); a full disk or a broken file is a `StoreError` that says so. Not promised: anything after the
machine itself loses power, beyond the last checkpoint.
"""

import json
import logging
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rlm_dspy.errors import StoreError
from rlm_dspy.exchange import Exchange, digest
from rlm_dspy.runs.database import MEMORY, Database
from rlm_dspy.runs.redaction import known_secrets, redacted, storable
from rlm_dspy.runs.row import Row, this_process
from rlm_dspy.runs.tables import COLUMNS

logger = logging.getLogger(__name__)

# Longer texts are kept compressed, bytes.
_PACKED_FROM = 4_096
_COLUMNS_OF_EVENT = ("data", "messages", "outputs")
# Of a run: what may hold any text.
_SAID = ("reason", "question", "answer")
_OF_RUNS = ("events", "ratings", "uses")
# Runs that are gone and that a table still names. Each name is one step in the table's index: its
# rows are not read.
_GONE = (
    "WITH RECURSIVE named(run) AS (SELECT min(run) FROM {table} UNION ALL "
    "SELECT (SELECT min(run) FROM {table} WHERE run > named.run) FROM named "
    "WHERE named.run IS NOT NULL) "
    "SELECT run FROM named WHERE run IS NOT NULL AND run NOT IN (SELECT id FROM runs)"
)
_RATED_AND_GONE = "SELECT run FROM ratings WHERE run NOT IN (SELECT id FROM runs)"


class Store(Database):
    """The runs in one file.

    Args:
        path: The file; ":memory:" for one that ends with the process.

    Raises:
        StoreError: It cannot be opened, or is no store.
    """

    def __init__(self, path: str | Path):
        # Which texts of which runs are in the file.
        self._seen: set[tuple[str, str]] = set()
        super().__init__(path)

    def _forget(self) -> None:
        self._seen.clear()

    # Writing.

    def begin(self, row: Row, about: dict[str, Any], texts: Iterable[bytes] = ()) -> list[str]:
        """Enters a run.

        Args:
            row: What is known of it.
            about: How it was made, as JSON takes it.
            texts: Texts that `about` names by their place here.

        Returns:
            The hashes of the texts.

        Raises:
            StoreError: It cannot be written, or there is a run of that name.
        """
        with self._writing() as db:
            hashes = [self._put(db, row.id, digest(text), text) for text in texts]
            marks = ", ".join("?" * (len(row) + 1))
            values = (*row, json.dumps({**about, "texts": hashes}))
            db.execute(f"INSERT INTO runs ({COLUMNS}, about) VALUES ({marks})", values)
        return hashes

    def append(self, run: str, rows: Iterable[tuple[int, str, str, Exchange | None]]) -> None:
        """Writes events.

        Args:
            run: Their run.
            rows: Each (number in the run, kind, JSON, request and reply).

        Raises:
            StoreError: They cannot be written, or the run was deleted; none of them was.
        """
        with self._writing() as db:
            if not db.execute("SELECT 1 FROM runs WHERE id = ?", (run,)).fetchall():
                raise StoreError(
                    f"The run {run} was deleted from the store {self.path} while it was under way: "
                    "nothing more of it is kept, ask again.",
                    run=run,
                )
            values = [
                (run, number, kind, data, *self._exchange(db, run, exchange))
                for number, kind, data, exchange in rows
            ]
            db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", values)

    def _exchange(
        self, db: sqlite3.Connection, run: str, exchange: Exchange | None
    ) -> tuple[str | None, str | None]:
        """A request and its reply as two columns: messages that recur are texts of their own."""
        if exchange is None:
            return None, None
        parts = []
        for name, message in zip(exchange.hashes, exchange.messages, strict=True):
            if name in exchange.once:
                parts.append(message)
            else:
                self._put(db, run, name, message.encode("utf-8", "surrogatepass"))
                parts.append(f'"{name}"')
        return f"[{', '.join(parts)}]", exchange.outputs

    def _put(self, db: sqlite3.Connection, run: str, name: str, text: bytes) -> str:
        if (run, name) in self._seen:
            return name
        packed = zlib.compress(text, 1) if len(text) >= _PACKED_FROM else text
        values = (name, len(text), packed)
        db.execute("INSERT OR IGNORE INTO texts VALUES (?, ?, ?)", values)
        db.execute("INSERT OR IGNORE INTO uses VALUES (?, ?)", (run, name))
        if len(self._seen) > 100_000:
            self._seen.clear()
        self._seen.add((run, name))
        return name

    def update(self, run: str, **values: Any) -> None:
        """Changes what is said of a run, by the names of `Row`.

        Raises:
            StoreError: It cannot be written.
        """
        values = {n: _said(v) if n in _SAID else v for n, v in values.items()}
        values["updated"] = time.time()
        changes = ", ".join(f"{name} = ?" for name in values)
        with self._writing() as db:
            db.execute(f"UPDATE runs SET {changes} WHERE id = ?", (*values.values(), run))

    def claim(self, run: str) -> None:
        """Takes over a run that has ended or died.

        Raises:
            StoreError: Another process is at it.
        """
        with self._writing() as db:
            row = self._row(db, run)
            if row.is_alive:
                raise StoreError(
                    f"The run {run} is under way in process {row.pid}: wait for it, or end it.",
                    run=run,
                )
            values = ("running", os.getpid(), this_process(), time.time(), run)
            db.execute(
                "UPDATE runs SET state = ?, pid = ?, host = ?, updated = ? WHERE id = ?", values
            )

    def rate(self, run: str, verdict: str, gold: str = "", note: str = "") -> None:
        """Says how good a run's answer is; the newest word counts.

        Args:
            run: The run's id.
            verdict: "good" or "bad".
            gold: The right answer, where it is known.
            note: Anything else.

        Raises:
            StoreError: It cannot be written.
        """
        with self._writing() as db:
            values = (run, time.time(), verdict, _said(gold), _said(note))
            db.execute("INSERT INTO ratings VALUES (?, ?, ?, ?, ?)", values)

    def delete(self, runs: Iterable[str]) -> int:
        """Forgets runs, and texts that no other run uses.

        Returns:
            How many there were.

        Raises:
            StoreError: One is under way, or they cannot be deleted; none was.
        """
        gone = list(runs)
        with self._writing() as db:
            for row in self._alive():
                if row.id in gone:
                    raise StoreError(
                        f"The run {row.id} is under way in process {row.pid}, which would go on "
                        "writing it: wait for it, or end it, and delete it then.",
                        run=row.id,
                    )
            return self._remove(db, gone)

    def _remove(self, db: sqlite3.Connection, runs: Iterable[str]) -> int:
        deleted = 0
        for run in {*runs, *self._orphans()}:
            deleted += db.execute("DELETE FROM runs WHERE id = ?", (run,)).rowcount
            for table in _OF_RUNS:
                db.execute(f"DELETE FROM {table} WHERE run = ?", (run,))
        self._seen.clear()
        db.execute("DELETE FROM texts WHERE hash NOT IN (SELECT hash FROM uses)")
        return deleted

    def _alive(self) -> list[Row]:
        rows = self._all(f"SELECT {COLUMNS} FROM runs WHERE state = 'running'")
        return [row for row in map(Row._make, rows) if row.is_alive]

    def _orphans(self) -> set[str]:
        """The runs of which something is left, deleted while they were under way."""
        queries = (_GONE.format(table="events"), _GONE.format(table="uses"), _RATED_AND_GONE)
        return {run for query in queries for (run,) in self._all(query)}

    def prune(self, *, days: float | None = None, megabytes: float | None = None) -> int:
        """Forgets the oldest runs; never one that is under way.

        Args:
            days: The age from which a run is forgotten.
            megabytes: The size that the store may keep, in MB.

        Returns:
            How many were forgotten.
        """
        rows = [row for row in reversed(self.runs()) if not row.is_alive]
        old = {row.id for row in rows if days is not None and _age(row) > days * 86_400}
        if megabytes is not None:
            excess = self.size() - megabytes * 1e6
            for row in rows:
                if excess <= 0:
                    break
                excess -= self._size_of(row.id)
                old.add(row.id)
        if not old and not self._orphans():
            return 0
        with self._writing() as db:
            deleted = self._remove(db, old - {row.id for row in self._alive()})
        if deleted:
            self._shrink()
        return deleted

    def _shrink(self) -> None:
        """Gives the room of what was deleted back to the disk, where there is room to do so."""
        with self._lock:
            try:
                self._db.execute("VACUUM")
            except sqlite3.Error as error:  # the room is used again by the next runs
                logger.info("The run store %s stays as large as it is: %s", self.path, error)

    # Reading.

    def runs(self, search: str | None = None, limit: int | None = None) -> list[Row]:
        """The runs, the newest first.

        Args:
            search: Only those in whose question, answer or events this text stands.
            limit: At most so many.
        """
        where, values = "", []
        if search:
            # Answers and events lie there as JSON, which writes a newline as \n.
            written = storable(json.dumps(search, ensure_ascii=False)[1:-1])
            found = "id IN (SELECT run FROM events WHERE data LIKE ? ESCAPE '\\')"
            where = (
                "WHERE question LIKE ? ESCAPE '\\' OR signature LIKE ? ESCAPE '\\' "
                f"OR answer LIKE ? ESCAPE '\\' OR {found}"
            )
            values = [_like(storable(search))] * 2 + [_like(written)] * 2
        most = "" if limit is None else f"LIMIT {int(limit)}"
        rows = self._all(
            f"SELECT {COLUMNS} FROM runs {where} ORDER BY created DESC, rowid DESC {most}", values
        )
        return [Row(*row) for row in rows]

    def find(self, run: str | None) -> Row:
        """A run by its id or the beginning of it; None is the newest.

        Raises:
            StoreError: There is none, or more than one begins so.
        """
        if run is None:
            rows = self._all(
                f"SELECT {COLUMNS} FROM runs ORDER BY created DESC, rowid DESC LIMIT 1"
            )
        else:
            sql = f"SELECT {COLUMNS} FROM runs WHERE substr(id, 1, ?) = ? LIMIT 3"
            run = storable(run)
            rows = self._all(sql, (len(run), run))
            rows = [row for row in rows if row[0] == run] or rows
        if not rows or not (run is None or run):
            said = "is empty" if run is None else f"has no run {run!r}"
            raise StoreError(
                f"The store {self.path} {said}: `rlm runs` lists what it has.", run=run
            )
        if len(rows) > 1:
            raise StoreError(f"Several runs begin with {run!r}: give more of the id.", run=run)
        return Row(*rows[0])

    def of_session(self, session: str | None) -> tuple[str, list[Row]]:
        """A session's id and its runs, the oldest first.

        Args:
            session: Its id or the beginning of it; None: the one that was asked last.

        Raises:
            StoreError: There is none, or more than one begins so.
        """
        named = "json_extract(about, '$.notes.session.id')"
        own = f"json_type(about, '$.notes.session.fork') IS NULL AND {named}"
        like = "" if session is None else storable(session)
        found = self._all(
            f"SELECT {named} FROM runs WHERE {own} IS NOT NULL AND substr({named}, 1, ?) = ? "
            f"GROUP BY 1 ORDER BY max(created) DESC, max(rowid) DESC LIMIT 2",
            (len(like), like),
        )
        if not found or (session is not None and len(found) > 1):
            said = "several sessions that begin" if found else "no session"
            what = "" if session is None else f" with {session!r}" if found else f" {session!r}"
            raise StoreError(
                f"The store {self.path} has {said}{what}: a session is in it once a question of it "
                "was asked, and recorded in full.",
                session=session,
            )
        sql = f"SELECT {COLUMNS} FROM runs WHERE {own} = ? ORDER BY created, rowid"
        return found[0][0], [Row(*row) for row in self._all(sql, found[0])]

    def about(self, run: str) -> dict[str, Any]:
        """How a run was made."""
        rows = self._all("SELECT about FROM runs WHERE id = ?", (run,))
        return json.loads(rows[0][0]) if rows else {}

    def events(self, run: str) -> list[tuple[int, str]]:
        """A run's events as (number, JSON), in order."""
        return self._all("SELECT number, data FROM events WHERE run = ? ORDER BY number", (run,))

    def outputs(self, run: str) -> dict[int, str | None]:
        """What models said in a run, as JSON by the number of the event."""
        where = "run = ? AND messages IS NOT NULL"
        return dict(self._all(f"SELECT number, outputs FROM events WHERE {where}", (run,)))

    def exchanges(self, run: str) -> dict[int, tuple[list[dict[str, Any]], list[Any] | None]]:
        """What models were asked in a run and what they said, by the number of the event."""
        where = "run = ? AND messages IS NOT NULL"
        sql = f"SELECT number, messages, outputs FROM events WHERE {where} ORDER BY number"
        rows = self._all(sql, (run,))
        known: dict[str, dict[str, Any]] = {}
        exchanges = {}
        for number, messages, outputs in rows:
            parts = json.loads(messages)
            for name in parts:
                if isinstance(name, str) and name not in known:
                    known[name] = json.loads(self.text(name).decode("utf-8", "surrogatepass"))
            said = None if outputs is None else json.loads(outputs)
            whole = [known[part] if isinstance(part, str) else part for part in parts]
            exchanges[number] = (whole, said)
        return exchanges

    def text(self, name: str) -> bytes:
        """A text by its hash.

        Raises:
            StoreError: It is not there.
        """
        rows = self._all("SELECT size, data FROM texts WHERE hash = ?", (name,))
        if not rows:
            raise StoreError(f"The store {self.path} lacks a text that a run needs: {name}.")
        size, data = rows[0]
        return data if len(data) == size and size < _PACKED_FROM else zlib.decompress(data)

    def ratings(self, run: str | None = None) -> dict[str, dict[str, str]]:
        """The newest rating of each run that has one: "verdict", "gold" and "note"."""
        where, values = ("", ()) if run is None else ("WHERE run = ?", (run,))
        rows = self._all(
            f"SELECT run, verdict, gold, note FROM ratings {where} ORDER BY at", values
        )
        return {
            row[0]: dict(zip(("verdict", "gold", "note"), row[1:], strict=True)) for row in rows
        }

    def _size_of(self, run: str) -> int:
        sizes = " + ".join(f"coalesce(length({name}), 0)" for name in _COLUMNS_OF_EVENT)
        own = f"SELECT coalesce(sum({sizes}), 0) FROM events WHERE run = ?"
        used = (
            "SELECT coalesce(sum(length(texts.data)), 0) FROM uses JOIN texts USING (hash) "
            "WHERE run = ? AND hash NOT IN (SELECT hash FROM uses WHERE run != ?)"
        )
        return self._all(own, (run,))[0][0] + self._all(used, (run, run))[0][0]

    def _row(self, db: sqlite3.Connection, run: str) -> Row:
        rows = db.execute(f"SELECT {COLUMNS} FROM runs WHERE id = ?", (run,)).fetchall()
        if not rows:
            raise StoreError(f"The store {self.path} has no run {run!r}.", run=run)
        return Row(*rows[0])


def _like(text: str) -> str:
    """A pattern of SQL for whatever has a text in it."""
    return "%" + "".join(f"\\{c}" if c in "%_\\" else c for c in text) + "%"


def _said(text: str) -> str:
    """A text of a run as it may be kept."""
    return storable(redacted(text, known_secrets()))


def _age(row: Row) -> float:
    return time.time() - row.updated


_stores: dict[str, Store] = {}
_guard = threading.Lock()


def open_store(path: str | Path) -> Store:
    """The store of a file, or of memory (":memory:"): one in a process.

    Raises:
        StoreError: It cannot be opened.
    """
    in_memory = str(path) == MEMORY
    name = MEMORY if in_memory else str(Path(path).expanduser().absolute())
    with _guard:
        store = _stores.get(name)
        if store is None or not (in_memory or Path(name).exists()):
            store = _stores[name] = Store(name)
        return store
