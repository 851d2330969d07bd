"""What every measurement says of itself: the command, the versions, the commit, the machine."""

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys

from bench.processes import machine_memory

_PACKAGES = ("rlm-dspy-runtime", "dspy", "litellm", "RestrictedPython", "xllamacpp")


def header(command: str) -> str:
    """A few lines that let a reader run the same again.

    Args:
        command: The command as it was given.
    """
    versions = []
    for name in _PACKAGES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} absent")
    memory = machine_memory() / 2**30
    return "\n".join(
        [
            f"command: {command}",
            f"versions: Python {platform.python_version()}, {', '.join(versions)}",
            f"commit: {_commit()}",
            f"machine: {platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
            f"{memory:.0f} GiB, load {os.getloadavg()[0]:.1f} at the start",
        ]
    )


def _commit() -> str:
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def command_line(module: str) -> str:
    """How this program was started, as a reader would start it."""
    return f"uv run --all-extras python -m {shlex.join([module, *sys.argv[1:]])}"
