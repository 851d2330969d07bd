"""Installing a rival into a folder of its own, for as long as the cache folder is kept."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from pathlib import Path

_SECONDS = 300


class Unavailable(RuntimeError):
    """What a measurement needs cannot be had here; the message says why."""


@contextlib.contextmanager
def whole(folder: Path) -> Generator[Path]:
    """Make a folder whole or not at all; another process may be making the same one.

    Args:
        folder: What it is to be called at the end.

    Yields:
        The folder to fill, in the same place under another name.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        yield made
        if not folder.exists():
            made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def run(program: str, *arguments: str, folder: Path | None = None) -> str:
    """Run an installer and return what it prints.

    Args:
        program: Its name.
        *arguments: Its arguments.
        folder: Where to run it: some read the settings of the project around them.

    Raises:
        Unavailable: It is not there, fails, or takes more than five minutes.
    """
    found = shutil.which(program)
    if found is None:
        raise Unavailable(f"there is no {program} here")
    shown = f"{program} {arguments[0]}"
    try:
        done = subprocess.run(
            [found, *arguments],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
            cwd=folder,
        )
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"{shown}: {error.stderr.strip()[-300:]}") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{shown}: not done after {_SECONDS} s") from error
    return done.stdout
