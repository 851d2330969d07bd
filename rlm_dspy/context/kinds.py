"""Which kind of thing a file is, by its content first and its name second.

A signature decides where the format has one, so that a PDF called `.txt` is read as a PDF and a
text called `.pdf` as text; an extension tells kinds of text apart; a few texts without an extension
are known by how they begin. What nothing tells is "text": whether it is text its decoding shows.
"""

import re
from posixpath import splitext

from rlm_dspy.context.readers.base import Blob
from rlm_dspy.context.readers.limits import Unreadable
from rlm_dspy.context.readers.zips import opened_zip

_SIGNATURES = (
    (b"%PDF-", "pdf"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\0", "xz"),
    (b"SQLite format 3\0", "sqlite"),
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"\xff\xd8\xff", "image"),
    (b"GIF87a", "image"),
    (b"GIF89a", "image"),
    (b"II*\0", "image"),
    (b"MM\0*", "image"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
)
# The magic number of a bzip2 block, the first six bytes of pi, stands four bytes behind "BZh".
_BZIP2 = re.compile(rb"BZh[1-9]1AY&SY")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
# The name that tells an office document from any other zip (ECMA-376, part 2).
_OFFICE = {
    "word/document.xml": "docx",
    "xl/workbook.xml": "xlsx",
    "ppt/presentation.xml": "pptx",
    "xl/workbook.bin": "xlsb",
}
_EXTENSIONS = {
    **dict.fromkeys((".md", ".markdown"), "markdown"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    **dict.fromkeys((".eml", ".mht", ".mhtml"), "mail"),
    **dict.fromkeys((".mbox", ".mbx"), "mbox"),
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".log": "log",
    ".vtt": "vtt",
    ".srt": "srt",
    ".bib": "bibtex",
}
# Kinds whose own bytes are the text.
TEXT_KINDS = frozenset({"text", "markdown", "json", "jsonl", "csv", "tsv", "log"})
# Extensions that leave the kind of a text open.
_OPEN = frozenset({"", ".txt", ".text", ".asc", ".tmp"})
_HTML = re.compile(rb"\s*(?:<!--(?:(?!-->).)*-->\s*)*<(?:!doctype\s+html|html[\s>])", re.I | re.S)
_MBOX = re.compile(rb"From \S+ .*\d{4}\r?\n[\w-]+:", re.I)
_MAIL = re.compile(
    rb"(?:Return-Path|Delivered-To|Received|Message-ID|MIME-Version|DKIM-Signature):"
    rb"(?=[\s\S]*?^From:)",
    re.I | re.M,
)
# Its types alone are words that other JSON uses too: a name that only CSL has is asked for beside.
_CSL = re.compile(
    rb'\s*\[\s*\{(?=[\s\S]*?"id"\s*:)'
    rb'(?=[\s\S]*?"(?:issued|DOI|ISBN|container-title|citation-key|family)"\s*:)'
    rb'[\s\S]*?"type"\s*:\s*"'
    rb"(?:article|bill|book|broadcast|chapter|classic|collection|dataset|document|entry|event|"
    rb"figure|graphic|hearing|interview|legal_case|legislation|manuscript|map|motion_picture|"
    rb"musical_score|pamphlet|paper-conference|patent|performance|periodical|personal_comm"
    rb"unication|post|post-weblog|regulation|report|review|review-book|article-journal|"
    rb"article-magazine|article-newspaper|entry-dictionary|entry-encyclopedia|software|song|"
    rb'speech|standard|thesis|treaty|webpage)"'
)
_ROTATED_LOG = re.compile(r"\.log[.-][\w:-]*\d$", re.I)
_BOM = b"\xef\xbb\xbf"


def kind_of(blob: Blob) -> str:
    """The kind of a source: a reader's name, or one of `TEXT_KINDS`.

    Raises:
        OSError: It cannot be read.
        Unreadable: It cannot be unpacked.
    """
    head, suffix = blob.head, blob.suffix
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head.startswith(_ZIP):
        return _zip_kind(blob)
    if _BZIP2.match(head):
        return "bzip2"
    if head.startswith(b"PAR1") and b"\0" in head:
        return "parquet"
    if head[257:262] == b"ustar":
        return "tar"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image"
    if head.startswith(b"BM") and suffix == ".bmp":
        return "image"
    if suffix == ".pdf" and b"%PDF-" in head[:1024]:  # readers tolerate what stands before it
        return "pdf"
    return _text_kind(head.removeprefix(_BOM), blob.named or blob.name)


def mime_of(head: bytes) -> str:
    """The type of an image by how it begins, such as "image/png"."""
    for signature, name in (
        (b"\x89PNG", "png"),
        (b"\xff\xd8", "jpeg"),
        (b"GIF8", "gif"),
        (b"RIFF", "webp"),
        (b"BM", "bmp"),
    ):
        if head.startswith(signature):
            return f"image/{name}"
    return "image/tiff"


def _zip_kind(blob: Blob) -> str:
    try:
        with opened_zip(blob) as archive:
            names = set(archive.namelist())
    except Unreadable:
        return "zip"  # whose reader says what is wrong
    return next((kind for name, kind in _OFFICE.items() if name in names), "zip")


def _text_kind(head: bytes, name: str) -> str:
    suffix = splitext(name)[1].lower()
    if suffix in _EXTENSIONS:
        kind = _EXTENSIONS[suffix]
        return "csl" if kind == "json" and _CSL.match(head) else kind
    if suffix == ".csljson":
        return "csl"
    if _ROTATED_LOG.search(name):
        return "log"
    if suffix not in _OPEN and ":" not in suffix:  # Maildir's names end like ".host:2,S"
        return "text"
    if head.startswith(b"WEBVTT"):
        return "vtt"
    if _HTML.match(head):
        return "html"
    if _MBOX.match(head):
        return "mbox"
    return "mail" if _MAIL.match(head) else "text"
