"""What a source is, by its content and its name."""

import made
import pytest

from rlm_dspy.context.kinds import kind_of, mime_of
from rlm_dspy.context.readers.base import Blob
from rlm_dspy.context.readers.limits import ReadLimits


def kind(data, name="x"):
    return kind_of(Blob.of_bytes(data, name, ReadLimits()))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("berths.csv", "csv"),
        ("berths.tsv", "tsv"),
        ("box.mbox", "mbox"),
        ("data.json", "json"),
        ("data.jsonl", "jsonl"),
        ("lease.docx", "docx"),
        ("library.json", "csl"),
        ("logs/app.log", "log"),
        ("logs/app.log.1", "log"),
        ("logs/app.log.2.gz", "gzip"),
        ("logs/app.log.3.zst", "zstd"),
        ("notes.txt", "text"),
        ("old.tar.gz", "gzip"),
        ("old.zip", "zip"),
        ("one.eml", "mail"),
        ("photo.png", "image"),
        ("plan.pptx", "pptx"),
        ("readme.md", "markdown"),
        ("refs.bib", "bibtex"),
        ("report.pdf", "pdf"),
        ("ships.db", "sqlite"),
        ("ships.parquet", "parquet"),
        ("ships.xlsx", "xlsx"),
        ("src/main.py", "text"),
        ("talk.srt", "srt"),
        ("talk.vtt", "vtt"),
        ("tides.html", "html"),
    ],
)
def test_files_of_each_kind(folder, name, expected):
    assert kind((folder / name).read_bytes(), name) == expected


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("everything")
    made.everything(path)
    return path


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (b"BZh91AY&SY...", "x", "bzip2"),
        (b"BZhang wrote this", "x", "text"),
        (b"\xfd7zXZ\0", "x", "xz"),
        (b"BMW is a car", "cars.txt", "text"),
        (b"BM\0\0", "x.bmp", "image"),
        (b"RIFF1234WEBP", "x", "image"),
        (b"PAR1 is a name", "x", "text"),
        (b"WEBVTT\n", "x.txt", "vtt"),
        (b"From the start of 2026\n", "x", "text"),
        (b"From a@b.c Wed Jan 14 09:30:00 2026\nSubject: x\n", "inbox", "mbox"),
        (b"Received: by x\nFrom: a@b.c\n\nhi", "1700000.M1.host:2,S", "mail"),
        (b"Received: a letter\n\nhi", "letter", "text"),
        (b"<html>", "x.py", "text"),
        (b"<!---->" * 2_000 + b"<p>", "x", "text"),
        (b"<!-- a -->\n<!-- b -->" * 99 + b"<!DOCTYPE HTML>", "x", "html"),
        (b"<htmlx>", "x", "text"),
        (b"<?xml version='1.0'?><a/>", "x.xml", "text"),
        (b"", "x.pdf", "text"),
        (b"text", "access.log-20260114", "log"),
        (b"text", "catalog.1", "text"),
    ],
)
def test_content_decides_before_the_name(data, name, expected):
    assert kind(data, name) == expected


@pytest.mark.parametrize(
    ("format_", "mime"),
    [
        ("PNG", "png"),
        ("JPEG", "jpeg"),
        ("GIF", "gif"),
        ("WEBP", "webp"),
        ("BMP", "bmp"),
        ("TIFF", "tiff"),
    ],
)
def test_types_of_images(tmp_path, format_, mime):
    path = tmp_path / f"x.{mime}"
    made.picture("x").save(path, format_)
    assert kind(path.read_bytes(), path.name) == "image"
    assert mime_of(path.read_bytes()) == f"image/{mime}"
