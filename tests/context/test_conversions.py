"""A file that did not change is not read again; whatever did change is."""

import os
import shutil
import sqlite3
import subprocess
import sys

import made
import pytest
from hypothesis import given
from hypothesis import strategies as st
from texts import TEXTS

from rlm_dspy.context import Context, ReadLimits, ReadOptions, conversions, in_place, ingest
from rlm_dspy.context.entries import Entry, Record
from rlm_dspy.context.kept_texts import folder, opened
from rlm_dspy.context.readers.base import Blob, Skipped
from rlm_dspy.context.sources import Source
from rlm_dspy.shared import PinnedFile

NAMES = ["a.txt", "b.txt", "page.html", "deep/two.pdf", "old.zip"]


@pytest.fixture(autouse=True)
def _every_file(monkeypatch):
    """Few and small files are kept too, and at once."""
    monkeypatch.setattr(conversions, "_MANY_FILES", 1)
    monkeypatch.setattr(conversions, "_SETTLED_NS", -1)


@pytest.fixture
def parsed(monkeypatch):
    """The names of the files that readers were asked for."""
    seen, whole = [], ingest.parts

    def parts(blob, options):
        seen.append(blob.name)
        return whole(blob, options)

    monkeypatch.setattr(ingest, "parts", parts)
    return seen


@pytest.fixture
def files(tmp_path):
    home = tmp_path / "files"
    (home / "deep").mkdir(parents=True)
    (home / "a.txt").write_text("zwölf\n" * 5_000, encoding="utf-8")
    (home / "b.txt").write_bytes("zwölf Franken für Äpfel\n".encode("cp1252") * 1_300)
    (home / "page.html").write_text("<title>T</title><p>One <b>two</b></p>")
    made.pdf(home / "deep" / "two.pdf", ["The harbour opens at six.", "It closes at ten."])
    made.zipped(home / "old.zip", {"x.txt": b"ex", "y/z.html": b"<p>zed</p>", ".h": b"no"})
    return home


def known(context):
    return str(context), [document._entry for document in context.documents], context.skipped


def test_what_did_not_change_is_not_read_again(files, parsed):
    first = Context.from_path(files)
    assert sorted(parsed) == sorted(NAMES)
    parsed.clear()
    assert known(Context.from_path(files)) == known(first)
    assert parsed == []


@pytest.mark.slow
def test_every_kind_of_file_is_the_same_the_second_time(tmp_path, parsed):
    made.everything(tmp_path / "all")
    first = Context.from_path(tmp_path / "all")
    read = set(parsed)
    parsed.clear()
    second = Context.from_path(tmp_path / "all")
    assert known(second) == known(first)
    failed = {reason for _, reason in first.skipped if "vision" not in reason}
    assert len(parsed) <= len(failed) < len(read) / 2


@pytest.mark.parametrize("name", NAMES)
def test_what_changed_is_read_again(files, parsed, name):
    path = files / name
    Context.from_path(files)
    parsed.clear()
    status, data = path.stat(), path.read_bytes()
    # Of the same size and time: the time of the change itself cannot be set.
    path.write_bytes(data.replace(b"zw", b"ZW") if b"zw" in data else data[:-1] + b"!")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    context = Context.from_path(files)
    assert parsed == [name]
    assert ("ZW" in context) == (name in ("a.txt", "b.txt"))


def test_a_copy_with_the_same_content_is_not_converted_again(files, tmp_path, parsed):
    first = Context.from_path(files / "deep")
    shutil.copytree(files / "deep", tmp_path / "moved")
    (tmp_path / "moved" / "two.pdf").touch()
    parsed.clear()
    moved = Context.from_path(tmp_path / "moved")
    assert parsed == []
    assert str(moved) == str(first)
    assert {document.path for document in moved.documents} == {str(tmp_path / "moved/two.pdf")}


def test_a_file_that_changed_just_now_is_not_known_by_its_times(files, parsed, monkeypatch):
    monkeypatch.setattr(conversions, "_SETTLED_NS", 10**18)
    for _ in range(2):
        parsed.clear()
        Context.from_path(files)
        # What takes long to convert is known by its content.
    assert parsed == ["a.txt", "b.txt"]


def test_a_file_that_is_written_to_meanwhile_is_read_and_not_kept(tmp_path, monkeypatch):
    path, whole, calls = tmp_path / "live.log", ingest.parts, []
    path.write_text("line\n" * 8_000)

    def parts(blob, options):
        calls.append(blob.name)
        with path.open("a") as file:
            file.write("more\n")
        return whole(blob, options)

    monkeypatch.setattr(ingest, "parts", parts)
    for number in (1, 2):
        assert Context.from_path(path) == "line\n" * 8_000 + "more\n" * number
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("options", "read"),
    [
        (ReadOptions(keep=False), NAMES),
        (ReadOptions(limits=ReadLimits(pages=10)), NAMES),
        (ReadOptions(hidden=True), ["old.zip"]),
        (ReadOptions(exclude=["*.html"]), ["old.zip"]),
        (ReadOptions(strict=True), []),
        (ReadOptions(types=["pdf"]), ["old.zip"]),
    ],
)
def test_options_that_matter_are_part_of_the_key(files, parsed, options, read):
    plain = Context.from_path(files)
    parsed.clear()
    context = Context.from_path(files, options)
    assert sorted(parsed) == sorted(read)
    kept = {document.title for document in context.documents}
    titles = {document.title for document in plain.documents}
    if options.types:
        assert kept == {"deep/two.pdf#page=1", "deep/two.pdf#page=2"}
    elif options.hidden:
        assert kept == titles | {"old.zip/.h"}
    elif options.exclude:
        assert kept == {title for title in titles if not title.endswith(".html")}
    else:
        assert kept == titles


def test_what_failed_is_tried_again(files, parsed):
    (files / "bad.pdf").write_bytes(b"%PDF-1.7 nothing")
    for _ in range(2):
        parsed.clear()
        context = Context.from_path(files)
        assert {reason[:21] for _, reason in context.skipped} == {"hidden", "cannot be read as pdf"}
    assert parsed == ["bad.pdf"]


def damage(what):
    for file in folder().rglob("*.val" if what == "entries" else "cache.db*"):
        file.write_bytes(b"no" * 50)


@pytest.mark.parametrize("what", ["entries", "database"])
def test_what_is_damaged_is_read_again(files, parsed, monkeypatch, what):
    monkeypatch.setattr("rlm_dspy.context.kept_texts._LEAST_FILE", 1)
    first = Context.from_path(files)
    damage(what)
    parsed.clear()
    assert known(Context.from_path(files)) == known(first)
    assert sorted(parsed) == sorted(NAMES)
    parsed.clear()
    assert known(Context.from_path(files)) == known(first)
    assert parsed == []


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(files, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    first = Context.from_path(files, ReadOptions(keep=False))
    monkeypatch.setenv("RLM_CACHE_DIR", str(tmp_path / "file"))
    assert known(Context.from_path(files)) == known(first)


def test_a_pickle_is_not_loaded(files, parsed):
    Context.from_path(files)
    with sqlite3.connect(folder() / "cache.db") as database:
        database.execute("UPDATE Cache SET mode = 4, value = ?", (b"cos\nabort\n(tR.",))
    database.close()
    parsed.clear()
    Context.from_path(files)
    assert sorted(parsed) == sorted(NAMES)


def test_what_takes_too_much_of_the_room_is_not_kept(files, parsed, monkeypatch):
    monkeypatch.setenv("RLM_TEXTS_MB", "0.12")
    for _ in range(2):
        parsed.clear()
        Context.from_path(files)
    assert parsed == ["b.txt"]  # 35 KB, more than a quarter


def test_what_was_kept_first_goes_first(files, monkeypatch):
    monkeypatch.setenv("RLM_TEXTS_MB", "0.12")
    for number in range(30):
        (files / f"{number}.txt").write_text("x" * 15_000)
    Context.from_path(files)
    with opened() as kept:
        assert 0 < len(kept) < 10


def test_large_texts_stay_where_they_are(tmp_path, parsed, monkeypatch):
    monkeypatch.setattr(in_place, "IN_PLACE_BYTES", 1 << 20)
    text = "zwölf Boxkämpfer\n" * 600_000
    path = tmp_path / "long.txt"
    path.write_text(text, encoding="utf-8")
    first = Context.from_path(path)
    parsed.clear()
    second = Context.from_path(path)
    assert parsed == []
    assert isinstance(second._buffer.data, PinnedFile)
    assert (len(second), second[-20:]) == (len(text), text[-20:])
    assert second.lines(500_000, 500_000) == first.lines(500_000, 500_000) == ["zwölf Boxkämpfer"]
    assert sum(file.stat().st_size for file in folder().rglob("*.val")) < 0.002 * len(text)
    path.write_text(text[:-17], encoding="utf-8")
    assert len(Context.from_path(path)) == len(text) - 17
    assert parsed == ["long.txt"]


@given(st.lists(st.tuples(TEXTS, st.sampled_from([1, 400])) | st.just(None), max_size=5))
def test_an_entry_says_what_was_recorded(tmp_path_factory, documents):
    home = tmp_path_factory.mktemp("entry")
    (home / "file").write_text("x")
    blob = Blob.of_file(home / "file", "file", ReadLimits(), citation_key="lee")
    found = [
        Skipped(f"{blob.place}#{number}", "hidden")
        if each is None
        else Source(
            (each[0] * each[1]).encode(),
            f"file#page={number}",
            blob.path,
            metadata={"citation_key": "lee", "page": number},
            chars=len(each[0] * each[1]),
        )
        for number, each in enumerate(documents)
    ]
    record = Record(blob, {"kind": "pdf"}, described=True)
    passed = [record.take(each) for each in found]
    finished = record.finish()
    assert finished is not None
    head, text = finished
    assert isinstance(text, bytes)
    entry = Entry(head + text)
    assert entry.about == {"kind": "pdf"}
    assert [each[:3] if isinstance(each, Skipped) else each for each in passed] == [
        each[:3] if isinstance(each, Skipped) else each for each in entry.documents(blob, None)
    ]
    for broken in (head[:9], (head + text)[:-1], b"rlm0" + head[4:] + text, b""):
        with pytest.raises(ValueError, match="damaged|cut off"):
            Entry(broken)


READ = """
import sys
from rlm_dspy.context import Context, conversions
conversions._MANY_FILES, conversions._SETTLED_NS = 1, -1
context = Context.from_path(sys.argv[1])
print(len(context), len(context.documents))
"""


@pytest.mark.slow
def test_processes_share_it(files):
    for number in range(300):
        (files / f"{number}.txt").write_text(f"zwölf {number}\n" * 40, encoding="utf-8")
    command = [sys.executable, "-c", READ, str(files)]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    context = Context.from_path(files, ReadOptions(keep=False))
    expected = f"{len(context)} {len(context.documents)}\n"
    assert [process.communicate(timeout=120) for process in started] == [(expected, "")] * 4


def test_the_versions_of_all_libraries_behind_readers_are_in_the_key():
    import tomllib
    from pathlib import Path

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    names = project["project"]["optional-dependencies"]["files"]
    assert set(conversions.PACKAGES) == {
        name.split(";")[0].split(">")[0].split("[")[0].strip() for name in names
    }
