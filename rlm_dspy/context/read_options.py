"""`ReadOptions`: what of files and folders goes into a context, and how it is read."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rlm_dspy.context.readers.limits import ReadLimits

if TYPE_CHECKING:
    from rlm_dspy.context.progress import ReadProgress

Describe = Callable[[bytes, str], str]


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What of files and folders is read, and how.

    Patterns are those of .gitignore: "*.py" anywhere, "/docs/" at the top, "src/**/test_*.py".

    Args:
        include: Patterns; where there are any, only files that match one are read.
        exclude: Patterns of what is not read; they win over `include`.
        types: Kinds ("pdf", "mail", "log") or extensions ("py"); where there are any, only those.
        hidden: Whether hidden files are read.
        ignore_files: Whether .gitignore and .ignore files count.
        max_bytes: The largest file that is read, bytes; None: any size.
        urls: Whether URLs may be fetched; nothing else here uses the network.
        describe: Writes down what an image says, given its bytes and its type ("image/png"); None:
            images and scanned pages are skipped.
        strict: Whether what cannot be read is an error, and not just named in `Context.skipped`.
        limits: What one source may use.
        keep: Whether what files were converted to is kept in the cache folder, so that a file which
            did not change is not read again.
        progress: Is told how far reading is, file by file and every 16 MiB of a large one.
    """

    include: Iterable[str] = ()
    exclude: Iterable[str] = ()
    types: Iterable[str] = ()
    hidden: bool = False
    ignore_files: bool = True
    max_bytes: int | None = None
    urls: bool = False
    describe: Describe | None = None
    strict: bool = False
    limits: ReadLimits = field(default_factory=ReadLimits)
    keep: bool = True
    progress: "Callable[[ReadProgress], None] | None" = None

    def __post_init__(self):
        for name in ("include", "exclude", "types"):
            given = getattr(self, name)
            object.__setattr__(self, name, (given,) if isinstance(given, str) else tuple(given))
