"""What the operating system forbids a worker: layers that hold each on its own.

Policy decides what code may say; this decides what its process may do if the policy is beaten. Each
layer is tried on its own; one that the platform lacks is reported by name and reason, never skipped
silently. Order matters: what needs rights or files comes first, the filters last. The layers:

    environment    no environment variables but those of `ENVIRONMENT`
    descriptors    nothing open but the connection and /dev/null
    session        a session and process group of its own
    namespaces     no network, no shared IPC: own namespaces (user namespace where not root)
    user           another uid where the host is root; no capabilities anywhere
    limits         memory, CPU, processes, file size, descriptors, core dumps
    no_new_privs   nothing it executes gains rights
    not_dumpable   no core, no ptrace, no /proc access by the same user
    parent_death   killed when the process that started it dies
    landlock       no file system
    seccomp        no system calls but those that computing needs (a filter for each kind of thread)

Does not promise anything against the kernel's own bugs, side channels, or on platforms whose layers
are reported missing; nor, once the policy is beaten, that nobody sees which files there are: `stat`
of a path goes through, since the C library asks so for open files, and no filter sees paths. macOS
has `environment`, `descriptors`, `session` and parts of `limits` alone.
"""

import ctypes
import errno
import os
import sys
from collections.abc import Callable, Collection

from rlm_dspy.repl import landlock, limits, seccomp

LAYERS = (
    "environment",
    "descriptors",
    "session",
    "namespaces",
    "user",
    "limits",
    "no_new_privs",
    "not_dumpable",
    "parent_death",
    "landlock",
    "seccomp",
)

# All of a worker's environment: sets have the same order and dates the same zone in every process.
# The zone is one that needs no file: none can be read once the process is locked down.
ENVIRONMENT = {"PYTHONHASHSEED": "0", "TZ": "UTC0"}

_NOBODY = 65534

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_SIGKILL = 9
# CLONE_NEW: user, network, IPC, host name, mounts
_NEWUSER, _OTHERS = 0x10000000, 0x40000000 | 0x08000000 | 0x04000000 | 0x00020000
_CAPABILITY_VERSION_3 = 0x20080522

Report = dict[str, bool | str]


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {errno.errorcode.get(number, number)}")


def prctl(option: int, value: int) -> None:
    """Set one property of this process by prctl.

    Raises:
        OSError: The kernel refuses, or the platform has no prctl.
    """
    if not sys.platform.startswith("linux"):
        raise OSError(errno.ENOSYS, f"{sys.platform} has no prctl")
    _check(_libc().prctl(option, value, 0, 0, 0), f"prctl({option})")


def unshare() -> None:
    """Enter own namespaces; called in a process with one thread, before it forks workers.

    Raises:
        OSError: The platform or the container refuses.
    """
    if not sys.platform.startswith("linux"):
        raise OSError(errno.ENOSYS, f"{sys.platform} has no namespaces")
    # As root no user namespace: in one, no other uid would be mapped, and the other uid protects
    # more.
    flags = _OTHERS if os.geteuid() == 0 else _OTHERS | _NEWUSER
    _check(_libc().unshare(flags), "unshare")


def lock_down(
    connection: int,
    given: limits.Limits,
    layers: Collection[str] = LAYERS,
    *,
    parent: int | None = None,
) -> Report:
    """Apply the layers to this process; its thread becomes the control thread.

    `environment` and `namespaces` come from how the process was started; here they are only
    checked.

    Args:
        connection: The descriptor that stays open besides 0, 1 and 2.
        given: What the process may use.
        layers: Names of the layers to apply (others are reported as switched off).
        parent: The pid whose death kills this process; None: started by a thread that may end
            earlier than its process, which the kernel would take for the parent's death.

    Returns:
        For each layer True, or the reason why it is missing.
    """
    steps: dict[str, Callable[[], None]] = {
        "environment": _clear_environment,
        "descriptors": lambda: _close_descriptors(connection),
        "session": _own_session,
        "limits": lambda: limits.apply(given),  # before the uid: /proc/self is root's after it
        "user": _drop_rights,
        "no_new_privs": lambda: prctl(_PR_SET_NO_NEW_PRIVS, 1),
        "not_dumpable": lambda: prctl(_PR_SET_DUMPABLE, 0),
        "parent_death": lambda: die_with(parent),
        "landlock": _close_files,
        "seccomp": lambda: _filter_thread(control=True),
    }
    report: Report = {}
    for name, apply in steps.items():
        report[name] = _try(apply) if name in layers else "switched off"
    return report


def attempt(name: str, apply: Callable[[], None], layers: Collection[str]) -> bool | str:
    """Apply one layer that is not part of `lock_down`.

    Returns:
        True, or the reason why it is missing.
    """
    return _try(apply) if name in layers else "switched off"


def _try(apply: Callable[[], None]) -> bool | str:
    try:
        apply()
    except (OSError, ValueError, AttributeError, ImportError) as error:
        return str(error) or type(error).__name__
    return True


def restrict_thread(layers: Collection[str] = LAYERS) -> None:
    """Put the strict filter on the calling thread, which is to run model code.

    Raises:
        OSError: The kernel refuses; the thread must then run no model code.
    """
    if "seccomp" in layers:
        _filter_thread(control=False)


def _close_files() -> None:
    prctl(_PR_SET_NO_NEW_PRIVS, 1)  # the kernel asks for it, whether or not it is a layer here
    landlock.restrict()


def _filter_thread(*, control: bool) -> None:
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    seccomp.install(seccomp.build(control=control))


def missing(report: Report) -> dict[str, str]:
    """The layers that do not hold, with the reasons."""
    return {
        name: str(report.get(name, "unknown")) for name in LAYERS if report.get(name) is not True
    }


def _clear_environment() -> None:
    for name in set(os.environ) - set(ENVIRONMENT):
        del os.environ[name]
    # What /proc/self/environ shows was fixed when the program was executed; clearing comes too
    # late.
    own = {f"{name}={value}" for name, value in ENVIRONMENT.items()}
    for line in limits.proc("environ").split("\0"):
        if line and line not in own:
            raise OSError(errno.EPERM, "the process was started with environment variables")


def _close_descriptors(connection: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.closerange(3, connection)
    os.closerange(connection + 1, 1 << 16)


def _own_session() -> None:
    if os.getsid(0) != os.getpid():
        os.setsid()


def _drop_rights() -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    if sys.platform.startswith("linux"):
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        _check(_libc().capset(header, (ctypes.c_uint32 * 6)()), "capset")


def die_with(parent: int | None) -> None:
    """Have this process killed when its parent dies.

    Args:
        parent: The pid of the parent it must still have; None cannot be watched.

    Raises:
        OSError: The parent is gone already, or the platform cannot.
    """
    if parent is None:
        raise OSError(errno.ENOTSUP, "started by a thread of the host, whose end is not the host's")
    prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != parent:
        raise OSError(errno.ESRCH, "the parent process is gone")
