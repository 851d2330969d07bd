"""System call filters (seccomp BPF) for the two kinds of thread in a worker, by raw prctl.

`STRICT` is for the thread that runs model code: what a Python interpreter needs to compute, to
talk over descriptors it already has and to end; no open, exec, fork, clone, socket, signal,
ptrace or executable memory. `WIDE` is for the control thread: the same plus fork, threads without
new namespaces, and installing the strict filter. Both are allow-lists: a call that is not named
fails with EPERM (`clone3` with ENOSYS, since its flags cannot be inspected and libc then falls
back to clone). Linux on x86-64 and aarch64 only; another machine gets no filter and says so. Call
numbers: the kernel's arch/x86/entry/syscalls/syscall_64.tbl and
include/uapi/asm-generic/unistd.h.
"""

import ctypes
import errno
import platform
import struct

_X86_64 = (
    "read:0 write:1 close:3 fstat:5 poll:7 lseek:8 mmap:9 mprotect:10 munmap:11 brk:12 "
    "rt_sigaction:13 rt_sigprocmask:14 rt_sigreturn:15 readv:19 writev:20 select:23 sched_yield:24 "
    "pread64:17 mremap:25 madvise:28 nanosleep:35 getpid:39 sendto:44 recvfrom:45 sendmsg:46 "
    "recvmsg:47 getsockname:51 getsockopt:55 clone:56 exit:60 uname:63 fcntl:72 gettimeofday:96 "
    "getrlimit:97 getrusage:98 times:100 getuid:102 getgid:104 geteuid:107 getegid:108 getppid:110 "
    "sigaltstack:131 prctl:157 gettid:186 time:201 futex:202 sched_getaffinity:204 "
    "restart_syscall:219 clock_gettime:228 clock_getres:229 "
    "clock_nanosleep:230 exit_group:231 newfstatat:262 pselect6:270 ppoll:271 "
    "set_robust_list:273 prlimit64:302 getcpu:309 getrandom:318 membarrier:324 rseq:334 clone3:435"
)
_AARCH64 = (
    "read:63 write:64 pread64:67 close:57 fstat:80 lseek:62 mmap:222 mprotect:226 munmap:215 "
    "brk:214 rt_sigaction:134 rt_sigprocmask:135 rt_sigreturn:139 readv:65 writev:66 "
    "sched_yield:124 mremap:216 madvise:233 nanosleep:101 getpid:172 sendto:206 recvfrom:207 "
    "sendmsg:211 recvmsg:212 getsockname:204 getsockopt:209 clone:220 exit:93 uname:160 fcntl:25 "
    "gettimeofday:169 getrlimit:163 getrusage:165 times:153 getuid:174 getgid:176 geteuid:175 "
    "getegid:177 getppid:173 sigaltstack:132 prctl:167 gettid:178 futex:98 sched_getaffinity:123 "
    "restart_syscall:128 clock_gettime:113 clock_getres:114 "
    "clock_nanosleep:115 exit_group:94 newfstatat:79 pselect6:72 ppoll:73 "
    "set_robust_list:99 prlimit64:261 getcpu:168 getrandom:278 membarrier:283 rseq:293 clone3:435"
)
# machine: (AUDIT_ARCH value, call numbers)
_MACHINES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}

# Calls that only the control thread may make, in addition to those whose arguments are checked
# below.
_CONTROL_ONLY = {"getsockname", "getsockopt", "getppid"}
# Calls with a rule of their own.
_CHECKED = {"mmap", "mprotect", "fcntl", "clone", "clone3", "prctl", "prlimit64"}

_PROT_EXEC = 4
_CLONE_NEW = 0x7E020000  # every CLONE_NEW* flag that clone takes
_FCNTL = (1030, 1)  # F_DUPFD_CLOEXEC (mmap duplicates its descriptor), F_GETFD
_PRCTL = (1, 15, 22, 38)  # PR_SET_PDEATHSIG, PR_SET_NAME, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS

_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF: load word, jumps on k, return
# Offsets in struct seccomp_data; arguments are 8 bytes, low word first.
_NR, _ARCH, _ARGS = 0, 4, 16

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _op(code: int, k: int, jt: int = 0, jf: int = 0) -> bytes:
    return struct.pack("=HBBI", code, jt, jf, k)


def _refuse(number: int = errno.EPERM) -> bytes:
    return _op(_RET, _ERRNO | number)


def _when(number: int, block: list[bytes]) -> list[bytes]:
    """`block` (which always returns) for this call number, else go on."""
    return [_op(_JEQ, number, 0, len(block)), *block]


def _one_of(argument: int, values: tuple[int, ...]) -> list[bytes]:
    block = [_op(_LD, _ARGS + 8 * argument)]
    for value in values:
        block += [_op(_JEQ, value, 0, 1), _op(_RET, _ALLOW)]
    return [*block, _refuse()]


def _without(argument: int, bits: int) -> list[bytes]:
    load = _op(_LD, _ARGS + 8 * argument)
    return [load, _op(_JSET, bits, 0, 1), _refuse(), _op(_RET, _ALLOW)]


def build(*, control: bool, machine: str | None = None) -> bytes:
    """The filter program.

    Args:
        control: The wide filter of the control thread, else the strict one.
        machine: As `platform.machine()` names it; this machine by default.

    Returns:
        An array of struct sock_filter.

    Raises:
        OSError: There is no table for this machine.
    """
    machine = machine or platform.machine()
    if machine not in _MACHINES:
        raise OSError(errno.ENOSYS, f"no system call table for {machine}")
    arch, table = _MACHINES[machine]
    calls = {name: int(number) for name, number in (x.split(":") for x in table.split())}
    program = [_op(_LD, _ARCH), _op(_JEQ, arch, 1, 0), _op(_RET, _KILL), _op(_LD, _NR)]
    # x86-64 only: bit 30 selects the x32 calls, which would bypass the numbers below.
    program += [_op(_JGE, 0x40000000, 0, 1), _op(_RET, _KILL)]
    for name, number in calls.items():
        if name not in _CHECKED and (control or name not in _CONTROL_ONLY):
            program += _when(number, [_op(_RET, _ALLOW)])
    program += _when(calls["mmap"], _without(2, _PROT_EXEC))
    program += _when(calls["mprotect"], _without(2, _PROT_EXEC))
    program += _when(calls["fcntl"], _one_of(1, _FCNTL))
    program += _when(calls["clone3"], [_refuse(errno.ENOSYS)])
    if control:
        program += _when(calls["clone"], _without(0, _CLONE_NEW))
        program += _when(calls["prctl"], _one_of(0, _PRCTL))
        program += _when(calls["prlimit64"], _one_of(0, (0,)))  # its own limits, no other process's
    return b"".join([*program, _refuse()])


def install(program: bytes) -> None:
    """Put a filter on the calling thread, for good (threads and processes it makes inherit it).

    Args:
        program: From `build`; no_new_privs must have been set.

    Raises:
        OSError: The kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(program, len(program))
    argument = _Program(len(program) // 8, ctypes.cast(code, ctypes.c_void_p))
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(argument), 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {errno.errorcode.get(number, number)}")
