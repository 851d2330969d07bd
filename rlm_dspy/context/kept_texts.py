"""The cache of texts that files were read as: `diskcache`'s, in the cache folder.

Processes may share it, and what was kept first goes first when it is full. Whatever is wrong with
it costs time and nothing else: after a fault it holds nothing, for this run.
"""

import io
import logging
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from rlm_dspy.settings import cache_dir, settings
from rlm_dspy.shared import PinnedFile, Shared

logger = logging.getLogger(__name__)

# A text that takes more of it than one part in so many would only push out others.
_LARGEST_SHARE = 4
# An entry that is larger lies in a file of its own, bytes.
_LEAST_FILE = 256 << 10
# What is written at once: entries, and bytes.
_BATCH, _BATCH_BYTES = 500, 4 << 20
# How long another process may write, seconds.
_PATIENCE = 10
T = TypeVar("T")


class KeptTexts:
    """The cache, opened when it is first used; small entries are written some at a time."""

    def __init__(self) -> None:
        self._cache: Any = None
        self._is_closed = False
        self._largest = 0
        self._waiting: list[tuple[str, bytes]] = []
        self._waiting_bytes = 0
        self._is_fuller = False

    def close(self) -> None:
        """Write what waits, make room where it is too full, and use it no more."""
        if self._waiting:
            self._flush()
        if self._is_fuller:
            self._guarded(lambda cache: cache.cull())
        self._end()

    def _end(self) -> None:
        self._is_closed = True
        if self._cache is not None:
            self._cache.close()
            self._cache = None

    def get(self, key: str) -> bytes | PinnedFile | None:
        """What is kept under a key, a large entry as the file that it lies in."""

        def get(cache: Any) -> bytes | PinnedFile | None:
            value = cache.get(key, read=True)
            if value is None or isinstance(value, bytes):
                return value
            with value:
                return PinnedFile.of(os.dup(value.fileno()), value.name)

        return self._guarded(get)

    def set(self, key: str, head: bytes, text: bytes | Shared = b"") -> None:
        """Keep a head with a text behind it."""
        size = len(head) + (len(text) if isinstance(text, bytes) else text.size)
        if size > (self._largest or self._set_largest()):
            return
        self._is_fuller = True
        if not isinstance(text, bytes):
            stream = _Stream(head, text)
            self._guarded(lambda cache: cache.set(key, stream, read=True))
            return
        self._waiting.append((key, head + text))
        self._waiting_bytes += size
        if self._waiting_bytes > _BATCH_BYTES or len(self._waiting) > _BATCH:
            self._flush()

    def _flush(self) -> None:
        def write(cache: Any) -> None:
            with cache.transact():
                for key, value in waiting:
                    cache.set(key, value)

        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        self._guarded(write)

    def _set_largest(self) -> int:
        self._largest = limit_bytes() // _LARGEST_SHARE  # settings take milliseconds to read
        return self._largest

    def _guarded(self, use: Callable[[Any], T]) -> T | None:
        """What a use of the cache gives; None where it fails, and it is not used again."""
        if self._is_closed:
            return None
        from diskcache import Timeout

        try:
            if self._cache is None:
                self._cache = opened()
            return use(self._cache)
        except (OSError, sqlite3.Error, Timeout) as error:
            logger.info("The texts of files are not kept: %s", error)
            self._end()
            return None


class _Stream(io.RawIOBase):
    """An entry, to be written piece by piece."""

    def __init__(self, head: bytes, text: Shared):
        self._head = head
        self._text = text
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        """The next piece."""
        if self._head:
            piece, self._head = self._head, b""
            return piece
        piece = self._text.read(self._at, self._at + size)
        self._at += len(piece)
        return piece


def limit_bytes() -> int:
    """What the texts may take on disk, in bytes."""
    return int(settings().rlm_texts_mb * 1e6)


def folder() -> Path:
    """Where they lie."""
    return cache_dir() / "texts"


def opened() -> Any:
    """The cache itself; one that is broken is made anew.

    Raises:
        OSError, sqlite3.Error, diskcache.Timeout: It cannot be had.
    """
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        return _opened()
    except sqlite3.OperationalError:  # busy, or no room
        raise
    except sqlite3.DatabaseError:
        shutil.rmtree(folder(), ignore_errors=True)
        folder().mkdir(parents=True, exist_ok=True, mode=0o700)
        return _opened()


def _opened() -> Any:
    import diskcache
    from diskcache.core import MODE_BINARY, MODE_RAW

    class Disk(diskcache.Disk):
        """Bytes alone: unpickling would run the code of whoever wrote the entry."""

        def fetch(self, mode: int, filename: str, value: Any, read: bool) -> Any:
            if mode not in (MODE_RAW, MODE_BINARY):
                raise OSError("an entry of another kind")
            return super().fetch(mode, filename, value, read)

    return diskcache.Cache(
        str(folder()),
        timeout=_PATIENCE,
        disk=Disk,
        size_limit=limit_bytes(),
        cull_limit=0,  # room is made once, at the end
        disk_min_file_size=_LEAST_FILE,
    )
