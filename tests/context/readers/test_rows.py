"""SQLite, Parquet and files of rows."""

import sqlite3

import made
import pyarrow
import pyarrow.parquet
import pytest

from rlm_dspy.context.context import Context
from rlm_dspy.context.read_options import ReadOptions
from rlm_dspy.context.readers.limits import ReadLimits
from rlm_dspy.errors import ContextError


def test_tables_are_documents(tmp_path):
    path = tmp_path / "ships.db"
    made.sqlite(path)
    context = Context.from_path(path)
    texts = {document.title: str(document) for document in context.documents}
    assert texts == {
        "ships.db#table=notes": "body\nthe pilot is ill\n",
        'ships.db#table=odd "name': "v\n1\n",
        "ships.db#table=ships": 'name,tons,plan\nGrey Heron,120.0,<2 bytes>\n"Ödland, ""Süd""",,\n',
    }
    assert context.documents[2].metadata == {"kind": "sqlite", "table": "ships", "rows": 2}


def test_a_database_is_not_written_to(tmp_path):
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE t (v)")
        database.execute("INSERT INTO t VALUES (1)")
    database.close()
    path.chmod(0o400)
    before = path.read_bytes()
    assert str(Context.from_path(path)) == "v\n1\n"
    assert path.read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} <= {"x.db", "cache"}
    made.zipped(tmp_path / "x.zip", {"x.db": before})
    assert str(Context.from_path(tmp_path / "x.zip")) == "v\n1\n"


def test_a_name_that_a_uri_would_take_apart(tmp_path):
    folder = tmp_path / "a?mode=rwc#b %20"
    folder.mkdir()
    made.sqlite(folder / "x.db")
    assert len(Context.from_path(folder).documents) == 3


def test_texts_of_another_encoding(tmp_path):
    with sqlite3.connect(tmp_path / "x.db") as database:
        database.execute("CREATE TABLE t (v TEXT)")
        database.execute("INSERT INTO t VALUES (CAST(? AS TEXT))", ["Grüße".encode("latin-1")])
    database.close()
    assert str(Context.from_path(tmp_path / "x.db")) == "v\nGrüße\n"


def test_a_damaged_table_is_named_and_the_others_are_read(tmp_path):
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA page_size = 1024")
        for name in "ab":
            database.execute(f"CREATE TABLE {name} (v)")
            database.executemany(f"INSERT INTO {name} VALUES (?)", [("x" * 300,)] * 50)
        (page,) = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'a'").fetchone()
    database.close()
    data = bytearray(path.read_bytes())
    data[(page - 1) * 1024 : page * 1024] = b"\xff" * 1024
    path.write_bytes(data)
    context = Context.from_path(path)
    assert [document.title for document in context.documents] == ["x.db#table=b"]
    assert context.skipped[0][0] == f"{path}#table=a"


def test_no_query_of_a_schema_runs_for_long(tmp_path):
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (v, w AS (v || v))")
        database.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(20_000)])
    database.close()
    for limits in (ReadLimits(cells=100), ReadLimits(seconds=0.0)):
        with pytest.raises(ContextError, match="more than 100 cells|longer than 0 seconds"):
            Context.from_path(path, ReadOptions(limits=limits))


def test_parquet_is_json_lines(tmp_path):
    made.parquet(tmp_path / "ships.parquet")
    (document,) = Context.from_path(tmp_path / "ships.parquet").documents
    assert str(document) == (
        '{"ship": "Grey Heron", "tags": ["old", "grau ß"], "seen": "2026-01-14 09:30:00"}\n'
        '{"ship": "Amber Swallow", "tags": [], "seen": null}\n'
    )
    about = {"kind": "parquet", "rows": 2, "columns": ["ship", "tags", "seen"]}
    assert document.metadata == about


def test_parquet_of_many_rows(tmp_path):
    table = pyarrow.table({"n": range(3_000)})
    pyarrow.parquet.write_table(table, tmp_path / "x.parquet", row_group_size=700)
    lines = str(Context.from_path(tmp_path / "x.parquet")).splitlines()
    assert lines == [f'{{"n": {n}}}' for n in range(3_000)]
    with pytest.raises(ContextError, match="more than 1,000 cells"):
        Context.from_path(tmp_path / "x.parquet", ReadOptions(limits=ReadLimits(cells=1_000)))


@pytest.mark.parametrize("name", ["ships.parquet", "ships.db"])
def test_a_file_cut_short_is_named(tmp_path, name):
    made.parquet(tmp_path / "ships.parquet")
    made.sqlite(tmp_path / "ships.db")
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 3])
    with pytest.raises(ContextError, match=name):
        Context.from_path(tmp_path / name)


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.json", "x.jsonl"])
def test_rows_in_text_are_read_as_they_stand(tmp_path, name):
    (tmp_path / name).write_bytes(b'a\t"b,\r\nc"\n{"d": 1}\n')
    (document,) = Context.from_path(tmp_path / name).documents
    assert str(document) == 'a\t"b,\r\nc"\n{"d": 1}\n'
    assert document.metadata["kind"] == name.removeprefix("x.")
