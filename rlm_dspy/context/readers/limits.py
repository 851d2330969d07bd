"""What reading one source may use, since a hostile file would use everything."""

import time
from dataclasses import dataclass

from rlm_dspy.errors import ContextError


class Unreadable(ContextError):
    """What cannot be read; the message is the reason, without a name."""


class Exhausted(Unreadable):
    """A limit on a whole source is reached, so that nothing more of it can be read."""


@dataclass(frozen=True, kw_only=True)
class ReadLimits:
    """What one source may use, with everything inside it; hostile files are why it is limited.

    Args:
        parsed_bytes: The largest file that a parser is given, bytes; plain text has no limit.
        member_bytes: The largest member of an archive, or attachment, bytes.
        expanded_bytes: The most that comes out of one compressed file or archive, bytes.
        ratio: How many times its size that may be.
        ratio_above_bytes: How much comes out before the ratio counts, bytes: a small file of zeros
            is no bomb.
        members: The most members of an archive, messages of a mailbox, or tables.
        nesting: How many archives deep an archive may lie in another.
        pages: The most pages of a PDF, slides or sheets.
        cells: The most cells of a workbook, table or data file.
        seconds: How long parsing may take, seconds; looked at between pages, rows and members.
        fetched_bytes: The largest answer to a URL, bytes.
        fetch_seconds: How long fetching a URL may take, seconds.
    """

    parsed_bytes: int = 512 << 20
    member_bytes: int = 256 << 20
    expanded_bytes: int = 4 << 30
    ratio: float = 200.0
    ratio_above_bytes: int = 64 << 20
    members: int = 100_000
    nesting: int = 1
    pages: int = 20_000
    cells: int = 20_000_000
    seconds: float = 300.0
    fetched_bytes: int = 64 << 20
    fetch_seconds: float = 60.0


class Allowance:
    """What one source may still use; everything inside the source shares it.

    Args:
        limits: The limits.
        size: The source's own size, bytes.
    """

    def __init__(self, limits: ReadLimits, size: int):
        self.limits = limits
        self._size = size
        self._expanded = 0
        self._cells = 0
        self._ends = time.monotonic() + limits.seconds

    def expand(self, count: int) -> None:
        """Count bytes that came out of something compressed.

        Raises:
            Exhausted: They are too many.
        """
        self._expanded += count
        self.check_expansion(self._expanded)

    def check_expansion(self, total: int) -> None:
        """Refuse so many bytes out of something compressed.

        Raises:
            Exhausted: They are too many.
        """
        if total > self.limits.expanded_bytes:
            raise Exhausted(f"expands to more than {self.limits.expanded_bytes:,} bytes")
        if total > max(self.limits.ratio_above_bytes, self._size * self.limits.ratio):
            raise Exhausted(f"expands more than {self.limits.ratio:g}-fold, as a bomb does")

    def take_cells(self, count: int) -> None:
        """Count cells, and look at the time.

        Raises:
            Exhausted: They are too many, or time is up.
        """
        self._cells += count
        if self._cells > self.limits.cells:
            raise Exhausted(f"has more than {self.limits.cells:,} cells")
        self.check_time()

    def check_time(self) -> None:
        """Look at the time.

        Raises:
            Exhausted: It is up.
        """
        if time.monotonic() > self._ends:
            raise Exhausted(f"takes longer than {self.limits.seconds:g} seconds to parse")
