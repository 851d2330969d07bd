"""An environment with `rlms` in it: its dependencies are many, and none of ours.

It gets a virtual environment of its own, made by `uv` in the cache folder with the Python that runs
this, from the index that uv is set up for. Its cases run under that environment's Python.
"""

import sys
from pathlib import Path

from bench.installing import Unavailable, run, whole
from rlm_dspy.settings import cache_dir

_VERSION = "0.1.3"


def prepare(python: Path | None = None) -> Path:
    """A Python that can import rlms.

    Args:
        python: The Python of an environment that has rlms already; None to make one, about 100 MB,
            at the first call.

    Returns:
        The Python to run.

    Raises:
        Unavailable: There is no uv, rlms cannot be had, or the given Python is not there.
    """
    if python is not None:
        if not python.is_file():
            raise Unavailable(f"{python} is no Python: give the one of an environment with rlms")
        return python.absolute()
    release = ".".join(map(str, sys.version_info[:2]))
    folder = cache_dir() / "bench" / f"rlms-{_VERSION}-python{release}"
    if not folder.exists():
        with whole(folder) as made:
            options = ("--relocatable", "--allow-existing", "--python", sys.executable)
            run("uv", "venv", "--quiet", *options, str(made))
            # Not in our own folder, whose pins conflict with what rlms needs.
            into = ("--python", str(made), f"rlms=={_VERSION}")
            run("uv", "pip", "install", "--quiet", *into, folder=made)
    return folder / "bin" / "python"


def version(python: Path) -> str:
    """Which rlms a Python has.

    Raises:
        Unavailable: It has none.
    """
    return run(
        str(python), "-c", "import importlib.metadata as m; print(m.version('rlms'))"
    ).strip()
