"""The interpreters whose syntax, attributes and annotations the policy has been tried on.

A newer Python may hand the library code of the model's in ways that nobody has looked at yet, as
3.14 did with annotations (see `annotations`); so the REPL starts on no version that its attack
tests have not run on.
"""

import sys
import sysconfig

FIRST, LAST = (3, 11), (3, 14)


def untried(
    version: tuple[int, int] = sys.version_info[:2],
    *,
    free_threaded: bool = bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
) -> str:
    """Why the REPL is not to run on an interpreter, and what to do; empty where it may.

    Args:
        version: Of the interpreter: major and minor.
        free_threaded: Whether it is built to run without the global interpreter lock.
    """
    first, last = (".".join(map(str, number)) for number in (FIRST, LAST))
    use = f"use Python {first} to {last}"
    if not FIRST <= version <= LAST:
        running = ".".join(map(str, version))
        return f"the REPL's policy has not been tried on Python {running}: {use}"
    if free_threaded:
        return f"the REPL has not been tried on a free-threaded Python: {use}, built with the GIL"
    return ""
