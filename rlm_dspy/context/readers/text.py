"""Plain text, and every kind that is read as it stands: Markdown, JSON, CSV, logs, source code."""

import codecs
from collections.abc import Iterator

from rlm_dspy.context.encodings import as_utf8
from rlm_dspy.context.readers.base import HEAD_BYTES, Blob, Part

_STEP_BYTES = 1 << 20


def read(blob: Blob, kind: str) -> Iterator[Part]:
    """The text as one document: a file on disk by itself, anything else in pieces.

    Args:
        blob: The source.
        kind: Its kind of text.
    """
    if blob.file is not None:
        yield blob.part(blob, kind=kind)
        return
    if _is_utf8(blob):
        yield blob.part(_decoded(blob), kind=kind, encoding="utf-8")
    else:
        text, metadata = blob.text()
        yield blob.part(text, kind=kind, **metadata)


def _is_utf8(blob: Blob) -> bool:
    """Whether it is UTF-8 to its end.

    Raises:
        BinaryData: It is no text.
    """
    whole = len(blob.head) < HEAD_BYTES
    sample = blob.head if whole else blob.head.rpartition(b"\n")[0] or blob.head
    if as_utf8(sample)[1]["encoding"] != "utf-8":
        return False
    try:
        for _ in _decoded(blob):
            pass
    except UnicodeDecodeError:
        return False
    return True


def _decoded(blob: Blob) -> Iterator[str]:
    decode = codecs.getincrementaldecoder("utf-8-sig")().decode
    with blob.opener() as stream:
        while piece := stream.read(_STEP_BYTES):
            blob.allowance.check_time()
            yield decode(piece)
        yield decode(b"", final=True)
