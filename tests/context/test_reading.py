"""Sources of every kind together: what is read, what is named, and that nothing breaks it."""

import os
import sys
import threading

import made
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlm_dspy.context.context import Context
from rlm_dspy.context.read_options import ReadOptions
from rlm_dspy.context.readers.base import Blob, Part, Skipped
from rlm_dspy.context.readers.limits import ReadLimits, Unreadable
from rlm_dspy.context.reading import parts
from rlm_dspy.errors import ContextError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("everything")
    made.everything(path)
    return path


def test_a_folder_of_everything(folder):
    context = Context.from_path(folder)
    assert [document.title for document in context.documents] == [
        *("berths.csv", "berths.tsv", "box.mbox#message=1", "box.mbox#message=2"),
        *("data.json", "data.jsonl", "lease.docx", "library.json#key=lee2021"),
        *("logs/app.log.3.zst", "logs/app.log.2.gz", "logs/app.log.1", "logs/app.log"),
        *("notes.txt", "old.tar.gz/c.txt", "old.zip/a/old.txt", "old.zip/b.html", "one.eml"),
        *("plan.pptx#slide=1", "plan.pptx#slide=2", "readme.md"),
        *("refs.bib#key=smith2020", "refs.bib#key=vesby2011", "refs.bib#key=gone"),
        *("[@smith2020] papers/smith.pdf#page=1", "report.pdf#page=1", "report.pdf#page=3"),
        *("ships.db#table=notes", 'ships.db#table=odd "name', "ships.db#table=ships"),
        *("ships.parquet", "ships.xlsx#sheet=Q1", "ships.xlsx#sheet=Old numbers"),
        *("src/main.py", "talk.srt", "talk.vtt", "tides.html"),
    ]
    skipped = [name.removeprefix(f"{folder}/") for name, _ in context.skipped]
    assert sorted(skipped) == [
        *("photo.png", "refs.bib#key=gone", "refs.bib#key=vesby2011", "refs.bib#line=11"),
        *("report.pdf#page=2", "secret.pdf", "ships.xlsx#sheet=Empty", "src/.gitignore"),
        "src/build",
    ]


def test_every_hit_says_where_to_look(folder):
    hits = Context.from_path(folder).grep("Heron")
    assert len(hits) == 19
    for hit in hits:
        assert hit.path.startswith(str(folder))
        assert (folder / hit.path).is_file()
        assert hit.document.text.splitlines()[hit.line - 1] == hit.text


def test_what_cannot_be_read_is_an_error_where_the_caller_is_strict(folder):
    for name, reason in (("secret.pdf", "encrypted"), ("photo.png", "an image")):
        with pytest.raises(ContextError, match=rf"{name}: {reason}.*strict=True") as caught:
            Context.from_path(folder, ReadOptions(include=name, strict=True))
        assert caught.value.data["path"] == str(folder / name)
    # What is left out by a rule is none of it.
    context = Context.from_path(folder, ReadOptions(include="src/", strict=True))
    assert len(context.skipped) == 2


def test_one_named_file_that_cannot_be_read_does_not_stop_the_others(folder):
    paths = [folder / "secret.pdf", folder / "notes.txt"]
    context = Context.from_paths(paths)
    assert len(context.documents) == 1
    assert context.skipped[0][0] == str(folder / "secret.pdf")
    with pytest.raises(ContextError, match="no such file"):
        Context.from_paths([*paths, folder / "gone.txt"])


@pytest.mark.parametrize(
    ("module", "name", "package"),
    [
        ("pypdf", "report.pdf", "pypdf"),
        ("docx", "lease.docx", "python-docx"),
        ("openpyxl", "ships.xlsx", "openpyxl"),
        ("defusedxml", "ships.xlsx", "defusedxml"),
        ("pptx", "plan.pptx", "python-pptx"),
        ("markdownify", "tides.html", "markdownify"),
        ("pyarrow.parquet", "ships.parquet", "pyarrow"),
        ("backports.zstd", "logs/app.log.3.zst", "backports.zstd"),
        ("webvtt", "talk.vtt", "webvtt-py"),
        ("bibtexparser", "refs.bib", "bibtexparser"),
    ],
)
def test_a_missing_library_is_named_with_its_remedy(monkeypatch, folder, module, name, package):
    if sys.version_info >= (3, 14) and module == "backports.zstd":
        module = "compression.zstd"
    monkeypatch.setitem(sys.modules, module, None)
    message = rf"needs {package}: pip install 'rlm-dspy-runtime\[files\]'"
    with pytest.raises(ContextError, match=message):
        Context.from_path(folder / name)
    context = Context.from_paths([folder / name, folder / "notes.txt"])
    assert any(package in reason for _, reason in context.skipped)


KINDS = [
    *("berths.csv", "box.mbox", "data.jsonl", "lease.docx", "library.json", "logs/app.log.2.gz"),
    *("logs/app.log.3.zst", "old.tar.gz", "old.zip", "one.eml", "photo.png", "plan.pptx"),
    *("refs.bib", "report.pdf", "ships.db", "ships.parquet", "ships.xlsx", "talk.srt", "talk.vtt"),
    "tides.html",
]
DAMAGE = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=6)), min_size=1, max_size=5
)


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(DAMAGE, st.floats(0, 1) | st.just(1.0))
def test_no_damage_goes_unnoticed_as_an_error_of_ours(folder, name, damage, kept):
    data = bytearray((folder / name).read_bytes())
    for place, written in damage:
        at = int(place * len(data))
        data[at : at + len(written)] = written
    blob = Blob.of_bytes(bytes(data[: int(kept * len(data))]), name, ReadLimits(seconds=20))
    options = ReadOptions(describe=lambda data, mime: "an image")
    for found in parts(blob, options):
        if isinstance(found, Skipped):
            assert found.reason
            continue
        assert isinstance(found, Part)
        assert found.title.startswith(name)
        try:
            text = found.data if isinstance(found.data, str) else "".join(found.data)
        except Unreadable:
            continue
        assert text.encode("utf-8", "replace") is not None


def test_a_pipe_can_be_named(tmp_path):
    path = tmp_path / "pipe.log"
    os.mkfifo(path)
    threading.Thread(target=path.write_text, args=("through the pipe\n",), daemon=True).start()
    (document,) = Context.from_path(path).documents
    assert (str(document), document.metadata["kind"]) == ("through the pipe\n", "log")


def test_each_source_has_its_own_allowance(tmp_path):
    for name in "abc":
        made.zipped(tmp_path / f"{name}.zip", {"x.txt": b"x" * 80})
    options = ReadOptions(limits=ReadLimits(expanded_bytes=100))
    assert len(Context.from_path(tmp_path, options).documents) == 3
