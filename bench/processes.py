"""A process and all its descendants, read from /proc: who they are, what memory they hold (Linux).

Memory is the sum of PSS (proportional set size: a page that n processes map counts 1/n in each),
from `/proc/PID/smaps_rollup`. PSS does not see pages of shared memory that no process maps, so the
anonymous files (memfd) that the processes hold open are counted too, by their allocated blocks.
"""

import contextlib
import os
import re
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_PSS = re.compile(rb"^(Pss|Pss_Shmem): +(\d+) kB$", re.MULTILINE)
_MEMFD = "/memfd:"
_BLOCK = 512  # bytes, the unit of st_blocks

# Reading a gigabyte's page tables takes tens of milliseconds: the next reading waits this many
# times as long as the last one took, so that the readings cost a twentieth of a core at most.
_REST = 20
_SHORTEST_REST = 0.02


@dataclass(frozen=True)
class Memory:
    """What a process tree holds.

    Args:
        pss: The sum of PSS, bytes.
        held: The same with what is in anonymous shared files and mapped by nobody, bytes.
        hidden: How many processes do not show their PSS (not dumpable, and we are not root); they
            are counted with their private resident memory.
    """

    pss: int = 0
    held: int = 0
    hidden: int = 0


def tree(root: int) -> list[int]:
    """The process and its descendants, zombies too; empty where it is gone."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir(_PROC):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                stat = (_PROC / entry / "stat").read_bytes()
                # The name, in parentheses, may hold anything; state and parent follow it.
                parent = int(stat.rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry))
    found = [root] if (_PROC / str(root)).exists() else []
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def memory(pids: list[int]) -> Memory:
    """The memory of these processes; those that have ended count nothing."""
    pss = shared = hidden = 0
    for pid in pids:
        try:
            rollup = (_PROC / str(pid) / "smaps_rollup").read_bytes()
        except PermissionError:
            hidden += 1
            pss += _private(pid)
        except OSError:
            continue
        else:
            sizes = {name: int(size) * 1024 for name, size in _PSS.findall(rollup)}
            pss += sizes.get(b"Pss", 0)
            shared += sizes.get(b"Pss_Shmem", 0)
    unmapped = sum(size for _, size in memfds(pids).values()) - shared
    return Memory(pss, pss + max(0, unmapped), hidden)


def _private(pid: int) -> int:
    with contextlib.suppress(OSError):
        _, resident, shared, *_ = (_PROC / str(pid) / "statm").read_text().split()
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
    return 0


def descriptors(pid: int) -> dict[int, str]:
    """The open file descriptors of a process and what they are; empty where they are hidden."""
    found = {}
    folder = _PROC / str(pid) / "fd"
    with contextlib.suppress(OSError):
        for entry in os.listdir(folder):
            with contextlib.suppress(OSError):
                found[int(entry)] = os.readlink(folder / entry)
    return found


def memfds(pids: list[int]) -> dict[int, tuple[str, int]]:
    """The anonymous files that these processes hold open or map.

    Returns:
        By inode number: the name, and the allocated bytes (0 where it is only mapped: its blocks
        show in the PSS).
    """
    found: dict[int, tuple[str, int]] = {}
    for pid in pids:
        for number, target in descriptors(pid).items():
            if target.startswith(_MEMFD):
                with contextlib.suppress(OSError):
                    about = os.stat(_PROC / str(pid) / "fd" / str(number))
                    found[about.st_ino] = (target, about.st_blocks * _BLOCK)
        with contextlib.suppress(OSError):
            for line in (_PROC / str(pid) / "maps").read_text(errors="replace").splitlines():
                if _MEMFD in line:
                    _, _, _, _, inode, name = line.split(maxsplit=5)
                    found.setdefault(int(inode), (name, 0))
    return found


def end(pids: list[int]) -> None:
    """Kill processes, and reap those that are ours."""
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    for pid in pids:
        with contextlib.suppress(OSError):
            os.waitpid(pid, 0)


class Watch:
    """Reads the memory of a process tree again and again, from another process than the tree's.

    Args:
        root: The process.
        limit: Bytes at which `over` is set.
    """

    def __init__(self, root: int, limit: int):
        self.root = root
        self.limit = limit
        self.peak = Memory()
        self.over = threading.Event()
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def read(self) -> None:
        """Read it now."""
        now = memory(tree(self.root))
        with self._lock:
            self.peak = Memory(
                max(self.peak.pss, now.pss),
                max(self.peak.held, now.held),
                max(self.peak.hidden, now.hidden),
            )
        if now.held > self.limit:
            self.over.set()

    def _run(self) -> None:
        pause = _SHORTEST_REST
        while not self._done.wait(pause):
            began = time.perf_counter()
            self.read()
            pause = max(_SHORTEST_REST, _REST * (time.perf_counter() - began))


def machine_memory() -> int:
    """The machine's memory, bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
