"""Bytes of unknown encoding as UTF-8, with a note of how they were read.

A byte order mark decides; else the bytes are UTF-8 where they are valid; else charset-normalizer
guesses, where it is installed; else they are taken for Windows-1252, or Latin-1 where even that has
no such byte. The note names the encoding, and says `encoding_guessed` where it was none of the
first two. Nothing is replaced or dropped to make bytes fit.
"""

import codecs
from importlib import import_module
from importlib.util import find_spec
from typing import Any

_SNIFFED_BYTES = 8192
_GUESSED_BYTES = 1 << 18
_CHECKED_BYTES = 1 << 20
# The longer marks first: UTF-32's begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SIGNATURES = {
    b"%PDF-": "a PDF document",
    b"PK\x03\x04": "a zip archive or an office document",
    b"\x1f\x8b": "a gzip archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"\x7fELF": "a program",
    b"SQLite format 3": "an SQLite database",
    b"PAR1": "a Parquet file",
    b"\xd0\xcf\x11\xe0": "an old office document",
}


class BinaryData(ValueError):
    """Bytes that are no text; the message says what they seem to be."""


def as_utf8(raw: bytes) -> tuple[bytes, dict[str, Any]]:
    """Text in any encoding as UTF-8, and what is known of its encoding.

    Raises:
        BinaryData: The bytes are no text.
    """
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return _decoded(raw[len(mark) :], encoding), {"encoding": encoding}
    for signature, kind in _SIGNATURES.items():
        if raw.startswith(signature):
            raise BinaryData(kind)
    if b"\0" in raw[:_SNIFFED_BYTES]:
        encoding = _wide(raw)
        return _decoded(raw, encoding), {"encoding": encoding, "encoding_guessed": True}
    if _is_utf8(raw):
        return raw, {"encoding": "utf-8"}
    encoding = _guessed(raw)
    return _decoded(raw, encoding), {"encoding": encoding, "encoding_guessed": True}


def is_binary(head: bytes) -> bool:
    """Whether a file that begins so is no UTF-8 text, as far as its beginning tells."""
    known = (*_SIGNATURES, *(mark for mark, encoding in _MARKS if encoding != "utf-8"))
    return head.startswith(known) or b"\0" in head[:_SNIFFED_BYTES]


def _decoded(raw: bytes, encoding: str) -> bytes:
    try:
        return raw.decode(encoding).encode()
    except UnicodeError as error:
        raise BinaryData(f"not {encoding}, though it begins as such: {error}") from error


def _is_utf8(raw: bytes) -> bool:
    decode = codecs.getincrementaldecoder("utf-8")().decode
    try:
        for start in range(0, len(raw), _CHECKED_BYTES):
            decode(raw[start : start + _CHECKED_BYTES])
        decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _wide(raw: bytes) -> str:
    """UTF-16 without a mark: nearly every second byte of western text is zero."""
    sample = raw[:_SNIFFED_BYTES]
    for encoding, zeros, others in (("utf-16-le", 1, 0), ("utf-16-be", 0, 1)):
        if sample[zeros::2].count(0) > len(sample) * 0.35 and not sample[others::2].count(0):
            return encoding
    raise BinaryData("it has zero bytes")


def _guessed(raw: bytes) -> str:
    """The most likely encoding of a text that is not UTF-8."""
    encodings = ["cp1252", "latin-1"]
    if find_spec("charset_normalizer"):
        best = import_module("charset_normalizer").from_bytes(raw[:_GUESSED_BYTES]).best()
        encodings[:0] = [best.encoding] if best else []
    for encoding in encodings:
        try:
            raw.decode(encoding)
        except UnicodeError:
            continue
        return encoding
    raise BinaryData("no encoding fits")
