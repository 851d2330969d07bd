"""The memory of one process, and a function measured in a process of its own (Linux).

`/proc/self/smaps_rollup` is read twenty times a second. Anonymous memory is what the process alone
holds; pages of files are the page cache's, and go when others need the room. Memory that was made
to be shared (memfd) is counted as a whole, mapped or not.
"""

import multiprocessing
import os
import re
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SIZES = re.compile(r"^(Anonymous|Pss_File):\s+(\d+) kB$", re.MULTILINE)
_PAUSE = 0.05
_BLOCK = 512  # of `st_blocks`

Measured = dict[str, Any]


class Memory:
    """The most memory that this process has had, in bytes."""

    def __init__(self) -> None:
        self.anonymous = self.of_files = self.shared = 0
        self._done = threading.Event()

    @contextmanager
    def watched(self) -> Generator[None]:
        """Reads it while the block runs."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()

    def _run(self) -> None:
        while True:
            sizes = dict(_SIZES.findall(Path("/proc/self/smaps_rollup").read_text()))
            self.anonymous = max(self.anonymous, int(sizes["Anonymous"]) << 10)
            self.of_files = max(self.of_files, int(sizes["Pss_File"]) << 10)
            self.shared = max(self.shared, _shared())
            if self._done.wait(_PAUSE):
                return


def _shared() -> int:
    total = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{number}").startswith("/memfd:"):
                total += os.fstat(int(number)).st_blocks * _BLOCK
        except OSError:  # closed meanwhile
            continue
    return total


def _child(connection: Any, measure: Callable[..., Measured], arguments: tuple[Any, ...]) -> None:
    memory = Memory()
    began, began_cpu = time.perf_counter(), time.process_time()
    with memory.watched():
        found = measure(*arguments)
    took, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    sizes = {
        "anonymous": memory.anonymous,
        "of_files": memory.of_files,
        "shared": memory.shared,
    }
    connection.send({"took": took, "cpu": cpu, **sizes, **found})


def measured(measure: Callable[..., Measured], *arguments: Any) -> Measured:
    """What a function measures in a process of its own.

    Args:
        measure: A function of a module.
        *arguments: Its arguments.

    Returns:
        What it returns, with "took" and "cpu" (seconds) where it does not say them itself, and
        "anonymous", "of_files" and "shared" (bytes at the peak).
    """
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_child, args=(theirs, measure, arguments))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    finally:
        process.join()
