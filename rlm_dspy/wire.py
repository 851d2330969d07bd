"""How a value that is too big to copy, or knows more than plain data, enters the REPL's worker.

The room that owns such a value (`context`) and the room that owns the worker (`repl`) do not import
each other; both know this. The host calls `__to_worker__` once a session and hands the buffers over
as descriptors; the worker calls the loader with what they hold.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

# Modules that a worker imports before it is locked down; after that, no import can open a file.
WORKER_MODULES = ("rlm_dspy.context.worker",)


@dataclass(frozen=True)
class Parcel:
    """One value on its way to the worker.

    Args:
        loader: "module:function"; the module is one of `WORKER_MODULES`. The worker calls
            `function(buffers, meta)`, each buffer a `SealedMemory` or `PinnedFile`, and binds the
            result.
        buffers: Bytes-like objects, which are copied once into sealed memory, or what is shared
            already.
        meta: Plain data (None, bool, int, float, str, list, dict with str keys).
    """

    loader: str
    buffers: tuple[Any, ...] = ()
    meta: dict[str, Any] = field(default_factory=dict)


@runtime_checkable
class Travels(Protocol):
    """A value that enters the worker as a `Parcel` and not as plain data."""

    def __to_worker__(self) -> Parcel:
        """The value as a parcel."""
        ...
