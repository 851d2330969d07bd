"""VTT and SRT transcripts: a line a cue, "[00:01:02] Ann: text"."""

import html
import re
from collections.abc import Iterator
from typing import Any

from rlm_dspy.context.readers.base import Blob, Part, needed

_VOICE = re.compile(r"<v(?:\.[\w.-]+)?\s+([^<>]{1,200})>")
_TAG = re.compile(r"<[^<>]{0,200}>")
_TIMES = re.compile(r"^[ \t]*\d+:[\d:.,]+[ \t]*-->", re.MULTILINE)
_FRACTION = re.compile(r"[.,]\d+$")


def read(blob: Blob, kind: str) -> Iterator[Part]:
    """The transcript as one document; as it stands where it is no valid one.

    Args:
        blob: The file.
        kind: "vtt" or "srt".
    """
    webvtt = needed("webvtt", "webvtt-py")
    errors = needed("webvtt.errors", "webvtt-py")
    text, metadata = blob.text()
    source = (f"{line}\n" for line in text.strip().splitlines())
    try:
        captions = list(webvtt.from_buffer(source, format=kind))
    except (errors.MalformedFileError, errors.MalformedCaptionError):
        captions = []
    if len(captions) < len(_TIMES.findall(text)):  # webvtt drops cues that it cannot read
        captions = []
    lines = [line for caption in captions if (line := _line(caption))]
    yield blob.part("".join(lines) or text, kind=kind, **metadata)


def _line(caption: Any) -> str:
    text = _TAG.sub("", _VOICE.sub(r"\1: ", caption.raw_text))
    said = " ".join(html.unescape(text).split())
    return f"[{_FRACTION.sub('', caption.start)}] {said}\n" if said else ""
