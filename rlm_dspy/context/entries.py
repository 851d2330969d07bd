"""The documents of one file, as bytes that a cache keeps.

An entry is a head (JSON: what is known of each document, and what was left out), the counts of the
longer texts, and the texts. Names are kept as what follows the file's own, so that an entry serves
wherever the file lies. Where a file's own bytes are the text, a longer one is kept as its counts.
"""

import json
import struct
import zlib
from array import array
from codecs import BOM_UTF8
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from rlm_dspy.context.assembly import LEAST_IN_PLACE
from rlm_dspy.context.blocks import BLOCK_BYTES, Counts
from rlm_dspy.context.gathering import Gathered
from rlm_dspy.context.kinds import TEXT_KINDS
from rlm_dspy.context.readers.base import Blob, Skipped
from rlm_dspy.context.sources import Source
from rlm_dspy.shared import PinnedFile, Shared, Stretch

# What it is; the bytes of its JSON, those behind it, and their checksum.
_HEAD = struct.Struct("<4sIQI")
_MAGIC = b"rlm1"
_STEP = 1 << 20
_COUNT_BYTES = 2


class Record:
    """Makes an entry of documents while they pass.

    Args:
        blob: The file they are read from.
        about: What else is to be known of it, as plain data: its "kind" and more.
        described: Whether what images were said to show may be kept.
    """

    def __init__(self, blob: Blob, about: dict[str, Any], *, described: bool):
        self._blob = blob
        self._about = about
        self._described = described
        self._items: list[dict[str, Any]] = []
        self._counts: list[bytes] = []
        self._text = Gathered()
        self._is_lasting = True

    def take(self, found: Source | Skipped) -> Source | Skipped:
        """Note a document, or what was left out; returns it, counted."""
        if isinstance(found, Skipped):
            self._is_lasting &= not found.failed or found.lasting
            name = self._rest(found.name, self._blob.place)
            self._items.append({"skipped": name, "reason": found.reason, "failed": found.failed})
            return found
        data, blob = found.data, self._blob
        assert not isinstance(data, str)
        size = data.size if isinstance(data, Stretch) else len(data)
        start, counts = self._text.size, found.counts
        is_file = size >= LEAST_IN_PLACE and self._is_file(found, size)
        pieces = _pieces(data) if is_file else self._written(data)
        if size >= LEAST_IN_PLACE and counts is None:
            counts = Counts.of(pieces)
        elif not is_file:
            deque(pieces, 0)
        found = replace(found, chars=found.length, counts=counts)
        if found.path != blob.path or "described" in found.metadata and not self._described:
            self._is_lasting = False
        known = blob.metadata
        self._items.append(
            {
                "title": self._rest(found.title or "", blob.name),
                "metadata": {
                    key: value
                    for key, value in found.metadata.items()
                    if key not in known or known[key] is not value
                },
                "chars": found.chars,
                "start": (blob.size or 0) - size if is_file else start,
                "size": size,
                "is_file": is_file,
                "counts": self._noted(counts),
            }
        )
        return found

    def _rest(self, name: str, start: str) -> str:
        if not name.startswith(start):
            self._is_lasting = False
        return name.removeprefix(start)

    def _is_file(self, found: Source, size: int) -> bool:
        """Whether a document is the bytes of its file, but for a mark at their start."""
        whole = self._blob.size or 0
        is_plain = self._about["kind"] in TEXT_KINDS and found.metadata["encoding"] == "utf-8"
        return is_plain and size in (whole, whole - len(BOM_UTF8))

    def _written(self, data: bytes | Stretch) -> Iterator[bytes]:
        """The pieces of a text, each of them gathered as it passes."""
        for piece in _pieces(data):
            self._text.write(piece)
            yield piece

    def _noted(self, counts: Counts | None) -> int:
        """Gathers counts; how many numbers they have a block."""
        if counts is None:
            return 0
        both = [counts.lines] if counts.chars is None else [counts.lines, counts.chars]
        self._counts += [numbers.tobytes() for numbers in both]
        return len(both)

    def finish(self) -> tuple[bytes, bytes | Shared] | None:
        """The entry up to its texts, and these; None where it would not say the same again."""
        text = self._text.finish()
        head = {**self._about, "documents": self._items}
        try:
            body = json.dumps(head, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError):
            return None
        if not self._is_lasting or json.loads(body) != head:
            return None
        counts = b"".join(self._counts)
        checked = zlib.crc32(text, zlib.crc32(counts)) if isinstance(text, bytes) else 0
        size = len(counts) + (len(text) if isinstance(text, bytes) else text.size)
        return _HEAD.pack(_MAGIC, len(body), size, checked) + body + counts, text

    def drop(self) -> None:
        """Give up what was gathered; after `finish` nothing happens."""
        self._text.drop()


def _pieces(data: bytes | Stretch) -> Iterator[bytes]:
    if not isinstance(data, Stretch):
        yield data
        return
    shared, start, size = data
    for low in range(start, start + size, _STEP):
        yield shared.read(low, min(low + _STEP, start + size))


class Entry:
    """An entry that was kept.

    Args:
        kept: All of it.

    Raises:
        ValueError: It is none, or damaged.

    Attributes:
        about: What else is known of the file.
        is_file: Whether the file itself is the text.
    """

    def __init__(self, kept: bytes | PinnedFile):
        self._kept = kept
        size = len(kept) if isinstance(kept, bytes) else kept.size
        try:
            magic, length, rest, checked = _HEAD.unpack(self._read(0, _HEAD.size))
            self._counts_at = _HEAD.size + length
            if magic != _MAGIC or self._counts_at + rest != size:
                raise ValueError("it is cut off, or none")
            if isinstance(kept, bytes) and checked != zlib.crc32(kept[self._counts_at :]):
                raise ValueError("it is damaged")
            self.about = json.loads(self._read(_HEAD.size, self._counts_at))
            self._items: list[dict[str, Any]] = self.about.pop("documents")
        except (struct.error, KeyError, AttributeError) as error:
            raise ValueError("it is damaged") from error
        self.is_file = any(item.get("is_file") for item in self._items)

    def _read(self, low: int, high: int) -> bytes:
        kept = self._kept
        return kept[low:high] if isinstance(kept, bytes) else kept.read(low, high)

    def documents(self, blob: Blob, file: PinnedFile | bytes | None) -> Iterator[Source | Skipped]:
        """The documents, and what was left out.

        Args:
            blob: The file that they were read from, or one with the same content.
            file: The file itself or its bytes, where it is the text.
        """
        at = self._counts_at
        texts_at = at + sum(_COUNT_BYTES * _numbers(item) for item in self._items)
        for item in self._items:
            if "skipped" in item:
                name = blob.place + item["skipped"]
                yield Skipped(name, item["reason"], item["failed"], lasting=True)
                continue
            counts, at = self._counts(item, at)
            start, size = item["start"], item["size"]
            held, start = (file, start) if item["is_file"] else (self._kept, texts_at + start)
            assert held is not None
            if isinstance(held, bytes):
                data = held[start : start + size]
            else:
                data = Stretch(held, start, size)
            yield Source(
                data,
                blob.name + item["title"],
                blob.path,
                metadata={**blob.metadata, **item["metadata"]},
                chars=item["chars"],
                counts=counts,
            )

    def _counts(self, item: dict[str, Any], at: int) -> tuple[Counts | None, int]:
        """The counts of a document, which lie at a byte, and the byte behind them."""
        if not item["counts"]:
            return None, at
        numbers = array("H", self._read(at, end := at + _COUNT_BYTES * _numbers(item)))
        blocks = len(numbers) // item["counts"]
        return Counts(numbers[blocks:] or None, numbers[:blocks]), end


def _numbers(item: dict[str, Any]) -> int:
    """How many numbers the counts of a document are."""
    return item.get("counts", 0) * -(-item.get("size", 0) // BLOCK_BYTES)
