"""How a value that is too big to copy, or knows more than plain data, enters the REPL's worker.

The room that owns such a value (`context`) and the room that owns the worker (`repl`) do not import
each other; both know this. The host calls `__to_worker__` once a session and hands the buffers over
as descriptors; the worker calls the loader with what they hold.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

# Modules that a worker imports before it is locked down; after that, no import can open a file.
WORKER_MODULES = ("rlm_dspy.context.worker",)

# In a worker: calls a function of a parcel on the host, by its name, with its arguments.
call_host: Callable[[str, list[Any], dict[str, Any]], Any] | None = None

# How many ranges a worker reports of what searches found in a step: the newest.
MOST_FOUND = 5_000
# In a worker: what searches found in this step, as (context, start, end).
found: deque[tuple[int, int, int]] = deque(maxlen=MOST_FOUND)


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
        functions: What the value in the worker may call on the host through `call_host`, by name;
            they take and give plain data, and trust nothing that they are called with.
    """

    loader: str
    buffers: tuple[Any, ...] = ()
    meta: dict[str, Any] = field(default_factory=dict)
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


@runtime_checkable
class Travels(Protocol):
    """A value that enters the worker as a `Parcel` and not as plain data."""

    def __to_worker__(self) -> Parcel:
        """The value as a parcel."""
        ...
