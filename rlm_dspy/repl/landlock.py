"""Landlock by raw system calls: no path can be opened, made, removed or executed any more.

Descriptors that are open stay usable. From ABI 4 TCP is closed too, from ABI 6 abstract sockets
and signals to processes outside. Needs no_new_privs; binds the calling thread and what it starts,
so it is called before any other thread exists. Numbers: the kernel's
include/uapi/linux/landlock.h.
"""

import ctypes
import errno
import struct

_CREATE_RULESET, _RESTRICT_SELF = 444, 446  # the same on every machine
_VERSION = 1
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}  # ABI: how many access bits it knows
_NET_ABI, _SCOPE_ABI = 4, 6
_BIND_AND_CONNECT, _SOCKETS_AND_SIGNALS = 0b11, 0b11


def abi() -> int:
    """The kernel's Landlock ABI; 0 where there is none."""
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION))


def restrict() -> None:
    """Take every right away, with an empty rule set.

    Raises:
        OSError: The kernel has no Landlock, or refuses.
    """
    version = abi()
    if version < 1:
        raise OSError(errno.ENOSYS, "this kernel has no Landlock")
    bits = max(count for since, count in _FILE_RIGHTS.items() if since <= version)
    rights = [(1 << bits) - 1]
    rights += [_BIND_AND_CONNECT] if version >= _NET_ABI else []
    rights += [_SOCKETS_AND_SIGNALS] if version >= _SCOPE_ABI else []
    attributes = struct.pack(f"={len(rights)}Q", *rights)
    libc = ctypes.CDLL(None, use_errno=True)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0 or libc.syscall(_RESTRICT_SELF, ruleset, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {errno.errorcode.get(number, number)}")
    libc.close(ruleset)
