"""The limits of a worker's resources (rlimits), and the doors that its control thread opens."""

import os
from dataclasses import dataclass
from pathlib import Path

# Address space of the model thread's stack, in bytes: C recursion (repr of nested lists, re,
# json) needs it.
STACK_BYTES = 16 << 20
# Memory above the limit that the interpreter itself may need to report an error, in bytes.
_SLACK = 16 << 20
_OPEN_FILES = 1024
# Processes and threads of all workers of this machine together, where they have a uid of their own.
_PROCESSES = 4096


@dataclass(frozen=True)
class Limits:
    """What a worker may use.

    Args:
        memory_mb: Private memory on top of what the bare worker has, in MiB.
        cpu_seconds: CPU time of the whole process; a second line behind the host's step clock.
    """

    memory_mb: int = 2048
    cpu_seconds: int = 3600


def apply(limits: Limits) -> None:
    """Set every limit of this process; those that are final cannot be raised again."""
    import resource

    _prefer_as_victim()
    status = dict(line.split(":", 1) for line in proc("status").splitlines() if ":" in line)
    extra = (limits.memory_mb << 20) + STACK_BYTES + _SLACK
    never = resource.RLIM_INFINITY
    if "VmData" in status:
        # Private writable memory: shared maps of contexts do not count, and the limit is final.
        _limit(resource.RLIMIT_DATA, _kilobytes(status["VmData"]) + extra)
        # All of the address space; the control thread raises it by the size of each shared map.
        resource.setrlimit(resource.RLIMIT_AS, (_kilobytes(status["VmSize"]) + extra, never))
    _limit(resource.RLIMIT_CPU, limits.cpu_seconds)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _limit(resource.RLIMIT_CORE, 0)
    if os.geteuid() == 0:  # it counts a user's processes, and the other uid has workers alone
        _limit(resource.RLIMIT_NPROC, _PROCESSES)
    allow_processes(allowed=False)


def _kilobytes(text: str) -> int:
    return int(text.split()[0]) << 10


def _limit(which: int, value: int) -> None:
    import resource

    _, hard = resource.getrlimit(which)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def add_address_space(size: int) -> None:
    """Raise the limit of the address space by so many bytes; needs the control thread's filter.

    Raises:
        OSError: The kernel refuses.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_AS, (soft + size, hard))


def allow_processes(*, allowed: bool) -> None:
    """Open or close the door for new processes and threads (RLIMIT_NPROC; it does not bind
    root).
    """
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (hard if allowed else 0, hard))


def _prefer_as_victim() -> None:
    path = Path("/proc/self/oom_score_adj")
    if path.exists():
        path.write_text("1000")


def proc(name: str) -> str:
    """A file of this process under /proc; empty where there is none."""
    path = Path("/proc/self") / name
    return path.read_text(errors="replace") if path.exists() else ""
