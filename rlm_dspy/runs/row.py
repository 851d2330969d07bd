"""A run's line in the store."""

import os
import socket
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """What the store says of a run.

    Args:
        id: The run's.
        created: When it began, seconds since 1970.
        updated: When it was written to last.
        state: "running", "completed", "partial" or "failed".
        reason: Why it is not completed; empty otherwise.
        question: What was asked.
        answer: Its outputs as JSON; empty while there are none.
        signature: Its inputs and outputs.
        model: The model that plans.
        sub_model: The model for sub-queries.
        program: What ran it: "rlm ask", or the module's name.
        spend: What it cost, as JSON; empty while it runs.
        parent: The run that it was forked from, if any.
        version: The version of its events.
        record: "full" or "metadata".
        pid: The process that runs it.
        host: The machine that runs it, and where /proc says so the boot and the start of the
            process: what `this_process` gives.
    """

    id: str
    created: float
    updated: float
    state: str
    reason: str
    question: str
    answer: str
    signature: str
    model: str
    sub_model: str
    program: str
    spend: str
    parent: str
    version: int
    record: str
    pid: int
    host: str

    @property
    def is_alive(self) -> bool:
        """Whether the process that runs it still does, as far as this machine can tell."""
        machine, _, started = self.host.partition("/")
        if self.state != "running" or self.pid <= 0 or machine != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:  # it is there, and somebody else's
            pass
        return _is_same(started, self.pid)

    @property
    def machine(self) -> str:
        """The machine alone."""
        return self.host.partition("/")[0]


def this_process() -> str:
    """This machine, and where /proc says so its boot and when this process began.

    A number is given again to another process: in a container that starts anew always the same.

    Returns:
        "machine/boot/start", or "machine".
    """
    machine, started = socket.gethostname(), _started(os.getpid())
    return f"{machine}/{started}" if started else machine


def _is_same(started: str, pid: int) -> bool:
    now = _started(pid)
    return not started or not now or started == now


def _started(pid: int) -> str:
    """The boot and the start of a process, in ticks of its clock; empty where nobody says."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return ""
    # The second field is the program's name in brackets, which may hold spaces and brackets.
    fields = stat.rpartition(b")")[2].split()
    return f"{boot}/{fields[19].decode()}" if len(fields) > 19 else ""
