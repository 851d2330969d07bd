"""How far reading sources is, for whoever wants to show it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rlm_dspy.context.readers.base import Blob, Skipped

# Within a large file, this many bytes lie between two calls.
_STEP = 16 << 20


@dataclass(frozen=True)
class ReadProgress:
    """How far reading is.

    Args:
        files: How many files are done.
        of_files: How many there are.
        size: How many bytes are done, what was kept from an earlier run among them.
        of_size: How many there are.
        name: The file that is being read, or was last.
    """

    files: int
    of_files: int
    size: int
    of_size: int
    name: str


class Progress:
    """Tells how far reading is, file by file.

    Args:
        blobs: What is read.
        listen: Is told; None: nobody.
    """

    def __init__(
        self, blobs: Iterable[Blob | Skipped], listen: Callable[[ReadProgress], None] | None
    ):
        sizes = [blob.size or 0 for blob in blobs if isinstance(blob, Blob)]
        self._of_files, self._of_size = len(sizes), sum(sizes)
        self._files = self._size = self._next = 0
        self._name = ""
        self._listen = listen

    def begin(self, blob: Blob) -> None:
        """A file is read now."""
        self._name, self._next = blob.place, _STEP
        if not self._files:
            self._tell(0)

    def within(self, size: int) -> None:
        """So many bytes of it are done."""
        if size >= self._next:
            self._next = size + _STEP
            self._tell(size)

    def end(self, blob: Blob) -> None:
        """It is done."""
        self._files += 1
        self._size += blob.size or 0
        self._tell(0)

    def _tell(self, size: int) -> None:
        if self._listen is not None:
            self._listen(
                ReadProgress(
                    self._files, self._of_files, self._size + size, self._of_size, self._name
                )
            )
