"""Tables in documents: what is one, and where its cells are."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_dspy import Context
from rlm_dspy.context.tables import tables_in


def tables(text, title="t.txt"):
    context = Context.from_documents([("first", "x"), {"title": title, "text": text}])
    found = tables_in(context.documents[1])
    for table in found:
        for row in table.rows:
            for cell in row:
                raw = str(context[cell.start : cell.end])
                assert raw.replace("\\|", "|").replace('""', '"') == cell.text
    return [(table.header, [[cell.text for cell in row] for row in table.rows]) for table in found]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("| a | b |\n|---|:-:|\n| 1 | x |\n| 2 | y |", "t.md"),
        ("prose, and more\n\na | b\n--|--\n1 | x\n2 | y\n\nmore", "t.md"),
        ("a,b\n1,x\n2,y\n", "t.csv"),
        ("a;b\n1;x\n2;y\n", "t.csv"),
        ("a,b\n1,x\n2,y\n", "ships.xlsx#sheet=Q1"),
        ("a\tb\n1\tx\n2\ty\n", "t.tsv"),
        ("a\tb\r\n1\tx\r\n2\ty\r\n", "unnamed"),
    ],
)
def test_what_is_a_table(text, title):
    assert tables(text, title) == [(("a", "b"), [["1", "x"], ["2", "y"]])]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("One, two.\nThree, four, five.\nSix.", "t.txt"),
        ("a,b\n1,x,3\n", "t.csv"),
        ('a,b\n1,"x\ny"\n', "t.csv"),
        ("a,a\n1,2\n", "t.csv"),
        ("| a | b |\n| 1 | x |\n| 2 | y |", "t.md"),
        ("| a | b |\n|---|---|\n| 1 |\n", "t.md"),
        ("a,b\n1,2\n", "unnamed"),
    ],
)
def test_what_is_none(text, title):
    assert tables(text, title) == []


def test_bars_and_quotes_within_cells():
    assert tables('| a | b |\n|-|-|\n| x\\|y | "z" |')[0][1] == [["x|y", '"z"']]
    assert tables('a,b\n"x,y","say ""z"""\n', "t.csv")[0][1] == [["x,y", 'say "z"']]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00"), max_size=8)


rows_of = st.integers(2, 4).map(lambda n: st.lists(cells, min_size=n, max_size=n))


@given(rows_of.flatmap(lambda row: st.lists(row, min_size=1)))
def test_what_a_csv_writer_writes_is_read(rows):
    rows = [[cell.strip() for cell in row] for row in rows]
    header = [f"column {number}" for number in range(len(rows[0]))]
    kept = [row for row in rows if "".join(row)]
    written = io.StringIO()
    csv.writer(written, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([header, *kept])
    context = Context.from_documents([{"title": "t.csv", "text": written.getvalue()}])
    found = tables_in(context.documents[0])
    assert [[cell.text for cell in row] for table in found for row in table.rows] == kept
