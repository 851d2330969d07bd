"""The fork server: one small process a host that has everything imported and forks workers.

Started by exec with an empty environment, so nothing of the host's memory, environment or
descriptors is in it or in its children. It runs no model code and answers nothing: a request is
one "start" frame with the worker's connection, and the worker itself says that it is ready. It
ends when the host's end of its connection closes, and takes its workers with it.
"""

import contextlib
import ctypes
import gc
import os
import pkgutil
import signal
import sys
import time
from pathlib import Path

from rlm_dspy.repl import caches, clocks, copying, isolation, methods
from rlm_dspy.repl.worker import Worker, channel_of, preload

_PR_SET_CHILD_SUBREAPER = 36
_M_ARENA_MAX = -8
_END_SECONDS = 5.0


def main(number: int, layers: list[str]) -> None:
    """Serve until the host is gone.

    Args:
        number: The descriptor of the connection to the host.
        layers: The isolation layers that this process itself is to apply.
    """
    prepare()
    # Ended workers need no waiting for, and orphaned snapshots come to this process.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        isolation.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    report = {"namespaces": isolation.attempt("namespaces", isolation.unshare, layers)}
    channel = channel_of(number)
    while True:
        try:
            message = channel.receive()
        except (EOFError, OSError):
            break
        connection = channel.fds.popleft()
        with contextlib.suppress(OSError):  # no process to be had: the host sees the connection end
            if os.fork() == 0:
                channel.close()
                run_worker(connection, message, report)
        os.close(connection)
    _end_children()


def run_worker(number: int, start: dict, report: isolation.Report) -> None:
    """Be a worker; never returns."""
    try:
        Worker(number, start, dict(report)).serve()
    finally:
        os._exit(1)


def main_alone(number: int) -> None:
    """Be a worker that was executed by the host itself, where there is no fork server."""
    prepare()
    start = channel_of(os.dup(number)).receive()
    report = {"namespaces": isolation.attempt("namespaces", isolation.unshare, start["layers"])}
    run_worker(number, start, report)


def prepare() -> None:
    """Make the process ready to be locked down: imports, codecs, clocks, one memory arena."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    preload()
    _preload_codecs()
    clocks.install()
    methods.install()
    copying.install()
    caches.install()
    if sys.platform.startswith("linux"):
        # Each further arena would reserve 64 MiB of the address space that the limit counts.
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
    # What is imported is no garbage: collections pass it over, and forks go on sharing it.
    gc.collect()
    gc.freeze()


def _preload_codecs() -> None:
    import encodings

    for module in pkgutil.iter_modules(encodings.__path__):
        with contextlib.suppress(LookupError, ImportError, UnicodeError):
            __import__(f"encodings.{module.name}")
            "".encode(module.name)


def _end_children() -> None:
    """Kill what is left, generation by generation: orphans of the killed become children of this
    process.
    """
    path = Path(f"/proc/self/task/{os.getpid()}/children")
    deadline = time.monotonic() + _END_SECONDS
    while path.exists() and time.monotonic() < deadline:
        pids = path.read_text().split()
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.005)
