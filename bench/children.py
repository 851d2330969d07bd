"""Running a measurement in a process of its own, so that it cannot hurt the next one.

It gets so many seconds and so many bytes (its whole process tree), and whatever it leaves behind is
killed. See `bench.repl_cases` for what it says.
"""

import ctypes
import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.processes import Memory, Watch, end, tree

_ROOT = Path(__file__).resolve().parents[1]
_PR_SET_CHILD_SUBREAPER = 36
_START_SECONDS = 120.0
_TICK = 0.05


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Args:
        measured: What it measured; empty where it failed.
        failure: Why it failed.
        peaks: The most memory its process tree was seen with until each time it asked for a
            reading, and until its end.
    """

    measured: dict[str, Any] = field(default_factory=dict)
    failure: str = ""
    peaks: list[Memory] = field(default_factory=list)


def adopt_orphans() -> None:
    """Have processes whose parent ends become children of this one, so that they can be ended."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(
    command: Sequence[str], environment: Mapping[str, str], *, seconds: float, limit: int
) -> Outcome:
    """Run one case and end all that it started.

    Args:
        command: The program and its arguments.
        environment: Variables that it gets besides those of this process.
        seconds: How long it may take once it is ready.
        limit: How many bytes its process tree may hold.
    """
    before = set(tree(os.getpid()))
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=_ROOT,
        env=os.environ | environment,
    )
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    try:
        with Watch(process.pid, limit) as watch:
            peaks: list[Memory] = []
            measured, failure = _listen(process, lines, watch, seconds, peaks)
    finally:
        process.kill()
        process.wait()
        while left := [pid for pid in tree(os.getpid()) if pid not in before]:
            end(left)
    return Outcome(measured, failure, [*peaks, watch.peak])


def _read(process: "subprocess.Popen[str]", lines: "queue.Queue[str | None]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(None)


def _listen(
    process: "subprocess.Popen[str]",
    lines: "queue.Queue[str | None]",
    watch: Watch,
    seconds: float,
    peaks: list[Memory],
) -> tuple[dict[str, Any], str]:
    """Follow a case to its end: what it measured, or why it failed."""
    doing, allowed = "starting", _START_SECONDS
    began = time.monotonic()
    while True:
        if watch.over.is_set():
            return {}, f"{doing}: stopped at {watch.peak.held / 1e9:.1f} GB"
        if time.monotonic() - began > allowed:
            return {}, f"{doing}: not done after {allowed:g} s"
        try:
            line = lines.get(timeout=_TICK)
        except queue.Empty:
            continue
        if line is None:
            return {}, f"{doing}: its process ended"
        message = json.loads(line)
        if "measured" in message:
            return message["measured"], ""
        if "error" in message:
            return {}, f"{doing}: {message['error']}"
        if "ready" in message:
            began, allowed = time.monotonic(), seconds
        elif "hold" in message:
            watch.read()
            peaks.append(watch.peak)
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        doing = message.get("doing", doing)
