"""The `Context` of the REPL's worker: the host's own text over shared memory, without a copy.

It imports the standard library alone, and RE2 and tree-sitter where they are installed, so that a
worker is ready in milliseconds. It promises that no method of what it loads opens a file: the
constructors that would are refused here.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self

from rlm_dspy import wire
from rlm_dspy.context import context, grammars, matches
from rlm_dspy.context.hits import Hit, Passage
from rlm_dspy.context.search import Found, Searcher
from rlm_dspy.context.searching import SHORT_BYTES, By, HostSearcher, in_memory
from rlm_dspy.errors import ContextError

# Loaded while files can be opened.
matches.with_re2()
grammars.languages()


class Context(context.Context):
    """The class that model code meets: all of `Context` but reading files."""

    __slots__ = ("_host_embeds", "_host_search")

    _cores: ClassVar[int] = 1  # there are no threads here

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self._number = None  # of the host's context that this is, if any
        self._host_search: str | None = None  # the function of the host that searches this
        self._host_embeds = False  # whether that searches by meaning too

    def _is_embedded(self) -> bool:
        return self._host_embeds

    def _new_searcher(self, by: By) -> Searcher:
        here = by == "keywords" and self._buffer.size <= SHORT_BYTES
        if self._host_search is None or here:
            return in_memory(self._buffer, self._sections())
        return HostSearcher(self._host_search, by)

    def _hit(self, start: int, end: int, text: str | None, around: int) -> Hit:
        self._report(start, end)
        return super()._hit(start, end, text, around)

    def _passage(self, found: Found) -> Passage:
        passage = super()._passage(found)
        self._report(passage.start, passage.end)
        self._report(*passage._part)
        return passage

    def _report(self, start: int, end: int) -> None:
        if self._number is not None:
            wire.found.append((self._number, start, end))

    @classmethod
    def from_path(cls, path: str | Path, options: Any = None) -> Self:
        """Refused: code in the REPL cannot open files."""
        return _refuse()

    @classmethod
    def from_paths(cls, paths: Iterable[str | Path], options: Any = None) -> Self:
        """Refused: code in the REPL cannot open files."""
        return _refuse()

    def with_embedder(self, embedder: Any) -> Self:
        """Refused: code in the REPL has no model of its own."""
        raise ContextError("A context gets its embedding model outside the REPL.")

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
    loaded._host_search = meta["search"]
    loaded._host_embeds = meta["embedded"]
    loaded._number = meta["number"]
    return loaded


def _refuse() -> NoReturn:
    raise ContextError(
        "Files cannot be opened inside the REPL: work with the variables that are here."
    )
