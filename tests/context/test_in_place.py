"""Large UTF-8 texts are read where they lie, and say the same as if they had been copied."""

import os
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from texts import TEXTS

from rlm_dspy.context import Context, assembly, in_place
from rlm_dspy.context.assembly import Assembly, assembled
from rlm_dspy.context.sources import Source
from rlm_dspy.context.worker import load
from rlm_dspy.errors import ContextError
from rlm_dspy.shared import Joined, PinnedFile, SealedMemory, Stretch

GERMAN = "Über den Zürichsee fährt im Mai für zwölf Franken ein großes Schiff.\n" * 5


@pytest.fixture
def everything_in_place(monkeypatch):
    monkeypatch.setattr(in_place, "IN_PLACE_BYTES", 1)
    monkeypatch.setattr(assembly, "LEAST_IN_PLACE", 1)
    monkeypatch.setattr(assembly, "IN_MEMORY_BYTES", 0)


@pytest.mark.parametrize(
    "data",
    [
        "Zürich".encode("cp1252"),
        "text".encode("utf-16"),
        b"\xf0\x9f\x98",
        b"%PDF-1.7 text",
        b"a\0b",
    ],
)
def test_what_is_not_utf8_text_is_left_to_the_readers(tmp_path, data):
    (tmp_path / "file").write_bytes(data)
    assert in_place.in_place(tmp_path / "file") is None


@given(TEXTS.filter(lambda text: text.strip() and "\0" not in text), st.booleans())
def test_characters_are_counted_and_a_mark_is_left_out(tmp_path_factory, text, marked):
    path = tmp_path_factory.mktemp("text") / "file"
    path.write_bytes((b"\xef\xbb\xbf" if marked else b"") + text.encode())
    source = in_place.in_place(path)
    assert source is not None
    assert source.length == len(text)
    assert source.data.shared.read(source.data.start, 1 << 20) == text.encode()


def test_a_character_on_the_edge_of_a_window_is_counted_once(tmp_path):
    path = tmp_path / "file"
    text = "x" * ((1 << 20) - 1) + "é" + "y" * (1 << 20)
    path.write_text(text, encoding="utf-8")
    source = in_place.in_place(path)
    assert source is not None
    assert source.length == len(text)


def test_one_file_is_the_context_and_nothing_is_copied(tmp_path, everything_in_place):
    text = "first\nzwölf\n" * 50
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    context = Context.from_path(tmp_path / "a.txt")
    assert isinstance(context._buffer.data, PinnedFile)
    assert context == text
    assert context.grep("zwölf")[3].line == 8
    assert (context.title, context.path) == ("a.txt", str(tmp_path / "a.txt"))


def test_a_folder_joins_what_lies_there(tmp_path, everything_in_place):
    (tmp_path / "a.txt").write_text("first é", encoding="utf-8")
    (tmp_path / "b.txt").write_bytes(GERMAN.encode("cp1252"))
    (tmp_path / "c.txt").write_bytes(b"\xef\xbb\xbfthird")
    context = Context.from_path(tmp_path)
    assert isinstance(context._buffer.data, Joined)
    assert [str(document) for document in context.documents] == ["first é", GERMAN, "third"]
    copied = Context.from_documents([("a.txt", "first é"), ("b.txt", GERMAN), ("c.txt", "third")])
    assert context == copied
    parcel = context.__to_worker__()
    there = load(parcel.buffers, parcel.meta)
    assert there == context
    assert [document.start for document in there.documents] == [
        document.start for document in context.documents
    ]
    assert pickle.loads(pickle.dumps(context)) == context


def test_a_changed_source_is_an_error_and_not_wrong_text(tmp_path, everything_in_place):
    path = tmp_path / "a.txt"
    path.write_text("first\n" * 100)
    os.utime(path, (0, 0))
    context = Context.from_path(path)
    path.write_text("other\n")
    with pytest.raises(ContextError, match="changed while it was in use"):
        context.find("first")


def test_what_may_not_stay_in_its_file_is_copied(tmp_path):
    path = tmp_path / "a.txt"
    text = "zwölf Boxkämpfer\n" * 600_000
    path.write_text(text, encoding="utf-8")
    context = Context.from_path(path)
    path.write_text("other\n")
    assert context == text
    assert isinstance(context._buffer.data, SealedMemory)


def test_files_beyond_the_most_are_copied(tmp_path):
    files = []
    for number in range(5):
        (tmp_path / str(number)).write_bytes(b"%d" % number * 20_000)
        files.append(PinnedFile.open(tmp_path / str(number)))
    whole = Assembly(0, most_files=2)
    for file in (files[0], files[1], files[0], *files[2:]):
        whole.add(Stretch(file, 10, 19_980))
    buffer = whole.finish()
    assert isinstance(buffer.data, Joined)
    assert len({stretch.shared for stretch in buffer.data.stretches}) == 3
    assert buffer.text(0, buffer.chars) == "".join(n * 19_980 for n in "010234")


def test_sessions_that_live_together_share_one_parcel():
    context = Context.from_text("text")
    parcel = context.__to_worker__()
    assert context.__to_worker__() is parcel
    assert all(isinstance(buffer, SealedMemory) for buffer in parcel.buffers)


@given(st.lists(TEXTS, min_size=1, max_size=4), st.integers(0, 20))
def test_a_long_text_is_shared_memory(texts, in_memory):
    whole = Assembly(in_memory)
    for text in texts:
        whole.add(text.encode())
    data, size = whole.finish().data, len("".join(texts).encode())
    read = data if isinstance(data, bytes) else data.read(0, size + 1)
    assert read.decode() == "".join(texts)
    assert isinstance(data, SealedMemory) == (size > in_memory)


def test_assembly_takes_sources_as_they_come():
    buffer, entries, _ = assembled(Source(text, title=text.decode()) for text in (b"one", b"two"))
    assert buffer.data == b"===== one =====\none\n\n===== two =====\ntwo"
    assert [(entry.start, entry.end) for entry in entries] == [(16, 19), (37, 40)]
