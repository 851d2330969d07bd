"""Large UTF-8 texts that stay in their files.

A file of at least `IN_PLACE_BYTES` whose bytes are valid UTF-8 is not copied: its text is read
from where it lies whenever a piece of it is wanted. It is checked once, a window at a time.
Whatever else it is (another encoding, binary, smaller) is left to the readers.
"""

import codecs
from pathlib import Path

from rlm_dspy.context.encodings import is_binary
from rlm_dspy.context.sources import Source
from rlm_dspy.shared import PinnedFile, Stretch

# From this size on a file is read in place; below it, what is read cannot change under a run.
IN_PLACE_BYTES = 64 << 20
_WINDOW = 1 << 20


def in_place(path: Path, least: int = IN_PLACE_BYTES) -> Source | None:
    """A large UTF-8 text without its bytes; None where it is to be read instead.

    Args:
        path: A regular file.
        least: The size in bytes from which it stays in place.

    Raises:
        ContextError: It changes while it is read.
        OSError: It cannot be read.
    """
    if path.stat().st_size < least:
        return None
    file = PinnedFile.open(path)
    start = len(codecs.BOM_UTF8) if file.read(0, 3) == codecs.BOM_UTF8 else 0
    if is_binary(file.read(start, _WINDOW)):
        return None
    chars = _characters(file, start)
    if chars is None:
        return None
    stretch = Stretch(file, start, file.size - start)
    return Source(stretch, metadata={"encoding": "utf-8"}, chars=chars)


def _characters(file: PinnedFile, start: int) -> int | None:
    """The characters of a file from a byte on; None where it is not UTF-8."""
    decode, chars, held = codecs.getincrementaldecoder("utf-8")().decode, 0, False
    try:
        for low in range(start, file.size, _WINDOW):
            piece = file.read(low, low + _WINDOW)
            if not held and piece.isascii():  # no need to decode it to count it
                chars += len(piece)
                continue
            chars += len(decode(piece))
            held = piece[-1] >= 0x80
        decode(b"", final=True)
    except UnicodeDecodeError:
        return None
    return chars
