"""The layers of isolation: what is reported, what is required, how filters are built."""

import os
import struct
import sys

import pytest

from rlm_dspy.dspy_errors import InterpreterError
from rlm_dspy.repl import RestrictedInterpreter, isolation, landlock, seccomp
from rlm_dspy.repl.isolation import LAYERS
from rlm_dspy.repl.launch import Executor

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="layers of Linux")


@linux
def test_every_layer_is_reported():
    with RestrictedInterpreter() as repl:
        report = repl.isolation_report
    assert set(report) == set(LAYERS)
    assert report["environment"] is True
    assert all(value is True or value for value in report.values())


@linux
def test_a_report_outlives_its_session():
    with RestrictedInterpreter() as repl:
        before = repl.isolation_report
    assert repl.isolation_report == before


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_that_is_off_is_named_and_refused_where_required(layer):
    layers = tuple(name for name in LAYERS if name != layer)
    with RestrictedInterpreter(_layers=layers) as repl:
        assert repl.isolation_report[layer] == "switched off"
        assert repl.execute("print(1)") == "1\n"
    with pytest.raises(InterpreterError, match=f"layers are missing: .*{layer}: switched off"):
        RestrictedInterpreter(isolation="require", _layers=layers).execute("1")


def test_a_worker_without_the_fork_server_says_what_it_lacks():
    with RestrictedInterpreter(_launcher=Executor()) as repl:
        lacks = isolation.missing(repl.isolation_report)
        assert repl.execute("print(1)") == "1\n"
    assert "host" in lacks["parent_death"]


def test_missing_layers_come_with_their_reasons():
    report = dict.fromkeys(LAYERS, True) | {"seccomp": "no table"}
    assert isolation.missing(report) == {"seccomp": "no table"}
    assert set(isolation.missing({})) == set(LAYERS)


ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def verdict(program, machine, number, arguments=()):
    """What a filter says to a system call: the few BPF operations that it uses, carried out."""
    words = [*arguments, *[0] * 6][:6]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, ARCH[machine], 0, *words)
    position, loaded = 0, 0
    while True:
        code, jump, other, k = struct.unpack_from("=HBBI", program, 8 * position)
        position += 1
        if code == 0x20:
            (loaded,) = struct.unpack_from("<I", data, k)
        elif code == 0x06:
            return k
        else:
            holds = {0x15: loaded == k, 0x35: loaded >= k, 0x45: bool(loaded & k)}[code]
            position += jump if holds else other


# name: (number on x86-64, number on aarch64)
CALLS = {
    "read": (0, 63),
    "openat": (257, 56),
    "execve": (59, 221),
    "socket": (41, 198),
    "kill": (62, 129),
    "ptrace": (101, 117),
    "unshare": (272, 97),
    "seccomp": (317, 277),
    "io_uring_setup": (425, 425),
    "pidfd_open": (434, 434),
    "memfd_create": (319, 279),
    "process_vm_readv": (310, 270),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
}


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("control", [True, False])
@pytest.mark.parametrize("name", CALLS)
def test_filters_let_through_what_they_should(machine, control, name):
    program = seccomp.build(control=control, machine=machine)
    number = CALLS[name][machine == "aarch64"]
    assert verdict(program, machine, number) == (ALLOW if name == "read" else EPERM)


@pytest.mark.parametrize(
    ("machine", "clone", "mmap", "prctl"), [("x86_64", 56, 9, 157), ("aarch64", 220, 222, 167)]
)
def test_filters_look_at_arguments(machine, clone, mmap, prctl):
    wide, strict = (seccomp.build(control=c, machine=machine) for c in (True, False))
    assert verdict(wide, machine, clone, [0x01200011]) == ALLOW
    assert verdict(strict, machine, clone, [0x01200011]) == EPERM
    for new in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert verdict(wide, machine, clone, [new | 17]) == EPERM
    assert verdict(wide, machine, 435) == ENOSYS
    for program in (wide, strict):
        assert verdict(program, machine, mmap, [0, 4096, 3, 0x22]) == ALLOW
        assert verdict(program, machine, mmap, [0, 4096, 7, 0x22]) == EPERM
    assert verdict(wide, machine, prctl, [22]) == ALLOW
    assert verdict(wide, machine, prctl, [4, 1]) == EPERM
    assert verdict(strict, machine, prctl, [22]) == EPERM


def test_filters_kill_foreign_call_tables():
    program = seccomp.build(control=True, machine="x86_64")
    assert verdict(program, "x86_64", 0x40000000) == KILL  # the x32 table
    assert verdict(program, "aarch64", 63) == KILL


def test_an_unknown_machine_has_no_filter_and_says_so():
    with pytest.raises(OSError, match="riscv64"):
        seccomp.build(control=True, machine="riscv64")


@linux
def test_landlock_is_probed_without_harm():
    assert landlock.abi() >= 0
    assert os.listdir("/")
