"""How sessions and hosts end: no process, descriptor or shared memory stays behind."""

import contextlib
import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rlm_dspy.dspy_errors import CodeFailed, InterpreterError
from rlm_dspy.repl import RestrictedInterpreter, launch
from rlm_dspy.repl.variables import BIG

ROOT = str(Path(__file__).resolve().parents[2])
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def family(root):
    """All processes below one, as a set of pids; ended ones that nobody waited for do not count."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = stat.read_text().rsplit(")", 1)[1].split()[:2]
            if state != "Z":
                parents[int(stat.parent.name)] = int(parent)
    below, grown = {root}, True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in below} - below
        below |= more
        grown = bool(more)
    return below - {root}


def alive(pids):
    left = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
                left.add(pid)
    return left


def settles(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def servers():
    return {server.process.pid for server in launch._servers.values()}


@pytest.mark.slow
def test_nothing_is_left_after_fifty_sessions():
    others = family(os.getpid())
    RestrictedInterpreter().execute("1")
    gc.collect()
    assert settles(lambda: family(os.getpid()) - others <= servers())
    descriptors = len(os.listdir("/proc/self/fd"))
    for n in range(50):
        repl = RestrictedInterpreter()
        repl.execute("x = 1", {"big": "b" * BIG})
        if n % 2:
            repl.execute("x = 2")
            repl.shutdown()
        del repl  # half of them are collected without a shutdown
    gc.collect()
    assert settles(lambda: family(os.getpid()) - others <= servers())
    assert len(os.listdir("/proc/self/fd")) <= descriptors


@pytest.mark.slow
def test_sixty_four_sessions_at_once_leave_nothing():
    others = family(os.getpid())
    RestrictedInterpreter().execute("1")
    gc.collect()
    assert settles(lambda: family(os.getpid()) - others <= servers())
    descriptors = len(os.listdir("/proc/self/fd"))
    wrong = []

    def session(n):
        with RestrictedInterpreter({"tool": lambda x: x + 1}, step_seconds=120) as repl:
            repl.execute(f"x = {n}")
            for _ in range(30):
                repl.execute("x = tool(x)")
            if repl.execute("print(x)") != f"{n + 30}\n":
                wrong.append(n)

    threads = [threading.Thread(target=session, args=(n,)) for n in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    gc.collect()
    assert settles(lambda: family(os.getpid()) - others <= servers())
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def host(code):
    """A host process of its own that says what it has to say in its first line."""
    path = f"import sys; sys.path[:0] = [{ROOT!r}]\n"
    return subprocess.Popen([sys.executable, "-c", path + code], stdout=subprocess.PIPE, text=True)


BUSY = """
import os, threading, time
from rlm_dspy.repl import RestrictedInterpreter
repl = RestrictedInterpreter(step_seconds={step_seconds})
repl.execute("x = 1")
repl.execute("x = 2")
{prepare}
def spin():
    try:
        repl.execute({code!r})
    except Exception:
        pass
threading.Thread(target=spin, daemon=True).start()
time.sleep(0.5)
print("ready", flush=True)
{end}
"""
IN_PYTHON = "while True: pass"
IN_C = "import re\nre.match('(a+)+$', 'a' * 50 + 'b')"
ROLL_BACK = f"try:\n    repl.execute({IN_PYTHON!r})\nexcept Exception: pass"


WAYS = [
    pytest.param(
        code,
        prepare,
        end,
        id=f"{how}-{ends}-{where}",
        marks=[] if (how, where) == ("rolled back", "c") and ends == "killed" else pytest.mark.slow,
    )
    for where, code in {"python": IN_PYTHON, "c": IN_C}.items()
    for how, prepare in {"fresh": "", "rolled back": ROLL_BACK}.items()
    for ends, end in {
        "killed": "time.sleep(100)",
        "exits": "time.sleep(1)",
        "crashes": "time.sleep(1); os._exit(1)",
    }.items()
]


@pytest.mark.parametrize(("code", "prepare", "end"), WAYS)
def test_workers_end_with_their_host(code, prepare, end):
    script = BUSY.format(code=code, prepare=prepare, end=end, step_seconds=1 if prepare else None)
    with host(script) as process:
        assert process.stdout.readline() == "ready\n"
        seen = family(process.pid)
        assert len(seen) >= 2
        if end == "time.sleep(100)":
            process.send_signal(signal.SIGKILL)
        process.wait(30)
    assert settles(lambda: not alive(seen))


def test_a_forked_host_gets_workers_of_its_own():
    repl = RestrictedInterpreter()
    repl.execute("x = 1")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with pytest.raises(InterpreterError, match="forked"):
                repl.execute("print(x)")
            with RestrictedInterpreter() as own:
                own.execute("x = 5")
                code = 0 if own.execute("print(x)") == "5\n" else 2
            repl.shutdown()
            launch.stop_servers()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert repl.execute("print(x)") == "1\n"
    repl.shutdown()


def test_a_dead_fork_server_costs_the_step_and_a_new_one_is_started():
    with RestrictedInterpreter(step_seconds=5) as repl:
        repl.execute("x = 1")
        for server in list(launch._servers.values()):
            server.process.kill()
            server.process.wait()
        with pytest.raises(CodeFailed, match="crashed"):  # its workers died with it
            repl.execute("import time\ntime.sleep(3)")
        assert repl.execute("print(1)") == "1\n"


UNSHARE = ["unshare", "--user", "--map-user=1234", "--map-group=1234"]


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run([*UNSHARE, "true"]).returncode != 0,
    reason="needs a user namespace to be another user in",
)
def test_a_host_that_is_not_root_gets_all_layers_too():
    code = """
import os
from rlm_dspy.repl import RestrictedInterpreter
with RestrictedInterpreter(isolation="require", step_seconds=1) as repl:
    repl.execute("x = 1")
    repl.execute("x += 1")
    try:
        repl.execute("while True: pass")
    except Exception as error:
        print("rolled back" in str(error))
    print(repl.execute("print(x)"), set(repl.isolation_report.values()), os.getuid())
"""
    script = f"import sys; sys.path[:0] = [{ROOT!r}]\n" + code
    command = [*UNSHARE, sys.executable, "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert result.stdout == "True\n2\n {True} 1234\n", result.stderr[-2000:]
