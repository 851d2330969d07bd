"""Bytes of unknown encoding as UTF-8, with a note of how they were read.

A byte order mark decides; else the bytes are UTF-8 where they are valid; else charset-normalizer
guesses, where it is installed; else they are taken for Windows-1252, or Latin-1 where even that has
no such byte. The note names the encoding, and says `encoding_guessed` where it was none of the
first two. Nothing is replaced or dropped to make bytes fit.
"""

import codecs
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any, BinaryIO

_SNIFFED_BYTES = 8192
_GUESSED_BYTES = 1 << 18
# It fits into a core's cache: decoding is twice as fast then as with 1 MiB.
_CHECKED_BYTES = 1 << 16
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
    _refuse_signatures(raw)
    if b"\0" in raw[:_SNIFFED_BYTES]:
        encoding = _wide(raw)
        return _decoded(raw, encoding), {"encoding": encoding, "encoding_guessed": True}
    if _is_utf8(raw):
        return raw, {"encoding": "utf-8"}
    encoding = next(_guesses(raw, whole=True))
    return _decoded(raw, encoding), {"encoding": encoding, "encoding_guessed": True}


def decoded(opener: Callable[[], BinaryIO]) -> tuple[Iterator[str], dict[str, Any]]:
    """Text in any encoding, however long, in pieces, and what is known of its encoding.

    It is read twice: which encoding fits shows at its end.

    Args:
        opener: Opens its bytes from their start.

    Raises:
        BinaryData: The bytes are no text.
    """
    with opener() as stream:
        head = stream.read(_GUESSED_BYTES)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return _pieces(opener, encoding, len(mark)), {"encoding": encoding}
    _refuse_signatures(head)
    wide = b"\0" in head[:_SNIFFED_BYTES]
    guessed = [_wide(head)] if wide else ["utf-8", *_guesses(head, whole=False)]
    for encoding in guessed:
        try:
            for _ in _pieces(opener, encoding):
                pass
        except BinaryData:
            continue
        known = {} if encoding == "utf-8" else {"encoding_guessed": True}
        return _pieces(opener, encoding), {"encoding": encoding, **known}
    raise BinaryData("no encoding fits")


def _pieces(opener: Callable[[], BinaryIO], encoding: str, start: int = 0) -> Iterator[str]:
    decode = codecs.getincrementaldecoder(encoding)().decode
    try:
        with opener() as stream:
            stream.seek(start)
            while piece := stream.read(_CHECKED_BYTES):
                yield decode(piece)
            yield decode(b"", final=True)
    except UnicodeError as error:
        raise BinaryData(f"not {encoding}, though it begins as such: {error}") from error


def _refuse_signatures(raw: bytes) -> None:
    for signature, kind in _SIGNATURES.items():
        if raw.startswith(signature):
            raise BinaryData(kind)


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


def _guesses(raw: bytes, *, whole: bool) -> Iterator[str]:
    """The encodings that a text, or its beginning, may have if not UTF-8; the likeliest first."""
    encodings = ["cp1252", "latin-1"]
    if find_spec("charset_normalizer"):
        best = import_module("charset_normalizer").from_bytes(raw[:_GUESSED_BYTES]).best()
        encodings[:0] = [best.encoding] if best else []
    for encoding in encodings:
        try:
            codecs.getincrementaldecoder(encoding)().decode(raw, final=whole)
        except UnicodeError:
            continue
        yield encoding
