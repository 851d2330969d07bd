"""The operating system's layers with the policy off: each alone stops its probes, and so do all.

Each probe first succeeds with no layer at all, so that a later refusal means something.
"""

import contextlib
import os
import socket
import sys
import time
from pathlib import Path

import pytest
from raw_worker import RawLauncher

from rlm_dspy.dspy_errors import CodeFailed
from rlm_dspy.repl import RestrictedInterpreter, landlock
from rlm_dspy.repl.isolation import LAYERS

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0,
    reason="the layers are Linux's, and the probes need root to succeed without them",
)

LIBC = "libc = ctypes.CDLL(None, use_errno=True)\n"

# Each prints HARM where it gets through.
PROBES = {
    "read a file": "open('{readable}').read(); print('HARM')",
    "read a root's file": "open('{secret}').read(); print('HARM')",
    "write a file": "f = open('{canary}', 'w'); f.write('x'); f.flush(); print('HARM')",
    "list a folder": "os.listdir('/'); print('HARM')",
    "execute": "subprocess.run(['/bin/true'], check=True); print('HARM')",
    "execute in place": "os.execv('/bin/echo', ['echo'])",
    "fork": "pid = os.fork()\nif pid == 0: os._exit(0)\nprint('HARM')",
    "vfork": LIBC + "n = libc.syscall(57)\nif n == 0: os._exit(0)\nif n > 0: print('HARM')",
    "thread": "threading.Thread(target=int).start(); print('HARM')",
    "connect": "socket.create_connection(('127.0.0.1', {port}), 2); print('HARM')",
    "open a socket": "socket.socket(); print('HARM')",
    "open a unix socket": "socket.socket(socket.AF_UNIX); print('HARM')",
    "signal the host": "os.kill({host}, 0); print('HARM')",
    "read the host's environment": "open('/proc/{host}/environ', 'rb').read(); print('HARM')",
    "read the host's memory": LIBC + "b = ctypes.create_string_buffer(8)\n"
    "vec = (ctypes.c_void_p * 2)(ctypes.addressof(b), 8)\n"
    "far = (ctypes.c_void_p * 2)({address}, 8)\n"
    "if libc.process_vm_readv({host}, vec, 1, far, 1, 0) == 8: print('HARM')",
    "trace the host": LIBC + "if libc.ptrace(16, {host}, 0, 0) == 0: print('HARM')\n"
    "libc.ptrace(17, {host}, 0, 0)",
    "executable memory": "mmap.mmap(-1, 4096, prot=7); print('HARM')",
    "make memory executable": LIBC + "m = mmap.mmap(-1, 4096)\n"
    "a = ctypes.addressof(ctypes.c_char.from_buffer(m))\n"
    "if libc.mprotect(ctypes.c_void_p(a), 4096, 7) == 0: print('HARM')",
    "new namespaces": LIBC + "if libc.unshare(0x40000000) == 0: print('HARM')",
    "raise its limits": "limits.allow_processes(allowed=True); "
    "os.fork() or os._exit(0); print('HARM')",
    "much memory": "mmap.mmap(-1, 1 << 30); print('HARM')",
    "a passed descriptor": "print('HARM' if os.pread({passed}, 6, 0) == b'S3CRET' else '')",
    "environment": "print('HARM' if os.environ.get('RLM_SECRET') else '')",
}

# Which layers stop a probe with all others switched off ("a+b": the two together).
STOPPED_BY = {
    "read a file": ["landlock", "seccomp"],
    "read a root's file": ["user", "landlock", "seccomp"],
    "write a file": ["limits", "landlock", "seccomp"],
    "list a folder": ["landlock", "seccomp"],
    "execute": ["landlock", "seccomp"],
    "execute in place": ["landlock", "seccomp"],
    "fork": ["seccomp", "user+limits"],
    "thread": ["seccomp", "user+limits"],
    "connect": ["namespaces", "landlock", "seccomp"],
    "open a socket": ["seccomp"],
    "open a unix socket": ["seccomp"],
    "signal the host": ["user", "landlock", "seccomp"],
    "read the host's environment": ["user", "landlock", "seccomp"],
    "read the host's memory": ["user", "seccomp"],
    "executable memory": ["seccomp"],
    "make memory executable": ["seccomp"],
    "new namespaces": ["seccomp"],
    "raise its limits": ["seccomp"],
    "much memory": ["limits"],
    "a passed descriptor": ["descriptors"],
    "environment": ["environment"],
}
NEEDS_ABI = {("connect", "landlock"): 4, ("signal the host", "landlock"): 6}


@pytest.fixture
def scene(tmp_path):
    """Things a probe may reach for, by the names that the probes use."""
    for folder in tmp_path.parents[:3]:
        folder.chmod(0o755)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    secret = tmp_path / "secret"
    secret.write_text("S3CRET")
    secret.chmod(0o600)
    readable = tmp_path / "readable"
    readable.write_text("x")
    passed = os.open(secret, os.O_RDONLY)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        text = b"S3CRET in the host's memory"
        yield {
            "secret": secret,
            "readable": readable,
            "canary": tmp_path / "open" / "canary",
            "host": os.getpid(),
            "port": listener.getsockname()[1],
            "passed": passed,
            "address": id(text) + bytes.__basicsize__ - 1,
        }
    os.close(passed)


def session(scene, layers, **options):
    launcher = RawLauncher([scene["passed"]], {"RLM_SECRET": "S3CRET"})
    return RestrictedInterpreter(
        _launcher=launcher, _layers=layers, memory_mb=64, step_seconds=20, **options
    )


def outcomes(probes, scene, layers):
    """What each probe shows, all of them one after another in one process."""
    shown = {}
    with session(scene, layers, snapshots=False) as repl:
        for probe in probes:
            try:
                shown[probe] = str(repl.execute(PROBES[probe].format(**scene)))
            except CodeFailed as error:
                shown[probe] = f"{error.output}{error}"
    return shown


def test_without_layers_the_probes_get_through(scene):
    probes = [probe for probe in STOPPED_BY if probe != "execute in place"]
    shown = outcomes(probes, scene, ())
    assert [probe for probe in probes if "HARM" not in shown[probe]] == []
    # This one becomes another program.
    assert "crashed" in outcomes(["execute in place"], scene, ())["execute in place"]


@pytest.mark.parametrize(
    "layers", sorted({layer for all_ in STOPPED_BY.values() for layer in all_})
)
def test_each_layer_alone_stops_its_probes(layers, scene):
    probes = [
        probe
        for probe, stops in STOPPED_BY.items()
        if layers in stops and landlock.abi() >= NEEDS_ABI.get((probe, layers), 0)
    ]
    alone = layers.split("+")
    shown = outcomes(probes, scene, tuple(name for name in LAYERS if name in alone))
    assert [probe for probe in probes if "HARM" in shown[probe] or "crashed" in shown[probe]] == []


@pytest.mark.parametrize("without", [None, *LAYERS])
def test_all_layers_and_all_but_one_stop_every_probe(without, scene):
    layers = tuple(name for name in LAYERS if name != without)
    probes = [probe for probe in PROBES if set(STOPPED_BY.get(probe, LAYERS)) - {without}]
    shown = outcomes(probes, scene, layers)
    assert [probe for probe in probes if "HARM" in shown[probe] or "crashed" in shown[probe]] == []
    assert not scene["canary"].exists() or scene["canary"].read_bytes() == b""


@pytest.mark.parametrize(
    ("layer", "option", "value"), [("no_new_privs", 39, 1), ("not_dumpable", 3, 0)]
)
def test_process_properties_are_set(layer, option, value, scene):
    code = f"print(ctypes.CDLL(None).prctl({option}, 0, 0, 0, 0))"
    with RestrictedInterpreter(_launcher=RawLauncher(), _layers=(layer,), snapshots=False) as repl:
        assert repl.execute(code) == f"{value}\n"


MAY_FORK = ("fork", "vfork", "thread", "raise its limits", "environment")
TAKE_CONTROL = """
def taken(number):
    limits.allow_processes(allowed=True)
    for name, probe in probes.items():
        try:
            exec(probe, dict(globals()))
        except BaseException as error:
            seen.append(f"{name}: {error}")
    pid = os.fork()
    if pid == 0:
        while True: pass
    seen.append(f"forked {pid}")
    return False
seen = []
worker._fork = taken
"""


def test_what_is_left_to_code_that_reaches_the_control_thread(scene):
    """It can start processes, caged like itself, that end with the session; nothing else."""
    probes = {name: PROBES[name].format(**scene) for name in PROBES if name not in MAY_FORK}
    with session(scene, LAYERS) as repl:
        repl.execute(TAKE_CONTROL, {"probes": probes})
        shown = repl.execute("print('; '.join(seen))")
        group = repl._session._worker.handle.pid
    assert "forked" in shown
    assert "HARM" not in shown
    assert not scene["canary"].exists()
    assert no_process_of(group)


def no_process_of(group):
    """Whether every process of a group ends within some seconds."""
    deadline = time.monotonic() + 10
    while running_in(group) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not running_in(group)


def running_in(group):
    members = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            state, _, member = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:3]
            if entry.name.isdigit() and int(member) == group and state != "Z":
                members.append(entry.name)
    return members
