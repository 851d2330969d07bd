"""The `Context` of the REPL's worker: the host's own text over shared memory, without a copy.

It imports the standard library alone, so that a worker is ready in milliseconds. It promises that
no method of what it loads opens a file: the constructors that would are refused here.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self

from rlm_dspy.context import context, matches
from rlm_dspy.errors import ContextError

matches.with_re2()  # loads it while files can be opened


class Context(context.Context):
    """The class that model code meets: all of `Context` but reading files."""

    __slots__ = ()

    _cores: ClassVar[int] = 1  # there are no threads here

    @classmethod
    def from_path(cls, path: str | Path, options: Any = None) -> Self:
        """Refused: code in the REPL cannot open files."""
        return _refuse()

    @classmethod
    def from_paths(cls, paths: Iterable[str | Path], options: Any = None) -> Self:
        """Refused: code in the REPL cannot open files."""
        return _refuse()

    @classmethod
    def from_stdin(cls, options: Any = None) -> Self:
        """Refused: code in the REPL has no input of its own."""
        return _refuse()


def load(buffers: Sequence[Any], meta: dict[str, Any]) -> Context:
    """The context that a parcel holds.

    Args:
        buffers: Read-only views of its buffers; they must stay mapped as long as it lives.
        meta: The parcel's data.
    """
    loaded = context.restored(Context, buffers, meta)
    assert isinstance(loaded, Context)
    return loaded


def _refuse() -> NoReturn:
    raise ContextError(
        "Files cannot be opened inside the REPL: work with the variables that are here."
    )
