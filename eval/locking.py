"""One run at a time in a folder: two would both pay for what neither has recorded yet."""

import errno
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from rlm_dspy import ConfigurationError

LOCK = ".lock"
# What says that another process has the lock; any other error, that there are no locks here.
_TAKEN = (errno.EACCES, errno.EAGAIN)

_held: set[Path] = set()
_holding = threading.Lock()


@contextmanager
def run_folder(folder: Path) -> Generator[None]:
    """Keeps a run's folder, made if need be, from other runs while the block runs.

    The lock ends with its process, however that ends. Where the platform or the file system has no
    locks, only the runs of this process are kept apart.

    Args:
        folder: The folder.

    Raises:
        ConfigurationError: The folder cannot be made or written to, or a run is under way there,
            in this process or in another.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOCK).touch()
    except OSError as error:
        raise ConfigurationError(
            f"A run cannot be written to {folder}: {error}. Give another --out.",
            folder=str(folder),
        ) from error
    own = folder.resolve()
    with _holding:
        if own in _held:
            raise _under_way(folder)
        _held.add(own)
    try:
        with (folder / LOCK).open("ab") as file:
            if not _locked(file):
                raise _under_way(folder)
            yield
    finally:
        with _holding:
            _held.discard(own)


def _locked(file: IO[Any]) -> bool:
    """Whether no other process has the lock of a file."""
    # A record lock, not `flock`: that would live on in a forked child, such as a REPL's.
    with suppress(ImportError):
        import fcntl

        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in _TAKEN
    return True


def _under_way(folder: Path) -> ConfigurationError:
    return ConfigurationError(
        f"A run is under way in {folder}: wait until it has ended, or give another --out.",
        folder=str(folder),
    )
