"""A record is never cut, whatever it is."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_dspy.context.context import Context

CELLS = st.text(alphabet='ab,;"\n é漢', max_size=6)
ROWS = st.integers(2, 4).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=8)
)


def named(text: str, name: str) -> Context:
    """A context of one document with the name of a file."""
    return Context.from_documents([{"text": text, "path": name}])


@given(ROWS, st.sampled_from([("x.csv", ","), ("x.tsv", "\t")]), st.integers(1, 3))
def test_rows_of_a_table_are_whole(rows, kind, size):
    name, delimiter = kind
    rows = [["a", *row[1:]] for row in rows]  # no row is empty
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(rows)
    chunks = named(file.getvalue(), name).chunks(size, by="records")
    read = [list(csv.reader(io.StringIO(str(chunk)), delimiter=delimiter)) for chunk in chunks]
    assert [row for chunk in read for row in chunk] == rows
    assert [len(chunk) for chunk in read[:-1]] == [size] * (len(read) - 1)


@given(st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=5)), min_size=1))
def test_json_lines_are_whole(values):
    text = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
    chunks = named(text, "x.jsonl").chunks(1, by="records")
    assert [json.loads(chunk) for chunk in chunks] == values


@pytest.mark.parametrize(
    "records",
    [
        ['{"a": 1}\n', '{"b": [2,\t3]}\n', "{}\n"],
        ["name;note\n", 'x;"two\n\nlines"\n', "y;-\n"],
        ["one\nof it\n\n", "two\nof it\n\n\n", "three\n"],
        ["12:00 start\n", "12:01 work, more\n", "12:02 end\n"],
        ["a,b\n", '3" pipe,x\n', '"open,y\n'],
    ],
)
def test_records_are_known_by_how_they_begin(records):
    context = Context.from_text("".join(records))
    assert context.chunks(1, by="records") == records
    assert context.chunks(2, 1, by="records") == ["".join(records[:2]), "".join(records[1:])]


def test_records_do_not_go_on_in_the_next_document():
    context = Context.from_documents([("a.csv", 'x,y\n1,"2\n3"\n'), ("b.log", "one\ntwo")])
    assert context.chunks(1, by="records") == [
        "===== a.csv =====\nx,y\n",
        '1,"2\n3"\n\n\n',
        "===== b.log =====\none\n",
        "two",
    ]
