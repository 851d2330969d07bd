"""Bytes of a text that come in pieces, on this side of memory and on the other."""

from collections.abc import Iterable

from rlm_dspy.settings import cache_dir
from rlm_dspy.shared import Growing, Shared

# Up to this size they are plain `bytes`: a shared text takes two descriptors.
GATHERED_BYTES = 8 << 20
# What is written at once, bytes.
_BATCH = 1 << 20


class Gathered:
    """Bytes that are being gathered: as they are up to a size, and in shared memory beyond it.

    Args:
        most: That size.
    """

    def __init__(self, most: int = GATHERED_BYTES):
        self.size = 0
        self._most = most
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._growing: Growing | None = None

    def write(self, piece: bytes) -> None:
        """Add a piece.

        Raises:
            OSError: There is no room for it.
        """
        self._waiting.append(piece)
        self._waiting_bytes += len(piece)
        self.size += len(piece)
        if self._waiting_bytes > (self._most if self._growing is None else _BATCH):
            self._flush()

    def _flush(self) -> Growing:
        self._growing = self._growing or Growing(cache_dir)
        self._growing.write(b"".join(self._waiting))
        self._waiting.clear()
        self._waiting_bytes = 0
        return self._growing

    def finish(self) -> bytes | Shared:
        """What was gathered, for good."""
        return b"".join(self._waiting) if self._growing is None else self._flush().finish()

    def drop(self) -> None:
        """Give up what was gathered; after `finish` nothing happens."""
        if self._growing is not None:
            self._growing.drop()


def gathered(pieces: Iterable[bytes]) -> bytes | Shared:
    """All of these pieces as one; where one cannot be had, nothing is left behind.

    Args:
        pieces: The pieces.
    """
    whole = Gathered()
    try:
        for piece in pieces:
            whole.write(piece)
        return whole.finish()
    finally:
        whole.drop()
