"""What `grep` and `search` find: spans that know a little more."""

from typing import Any, Self

from rlm_dspy.context.documents import Span
from rlm_dspy.context.lines import lines_between
from rlm_dspy.context.located import Home


class Hit(Span):
    """A line that `grep` found.

    Its text is the line; printed or formatted it is `title:line: text`, as grep shows it.
    """

    __slots__ = ("_around",)

    def __new__(
        cls, context: Home, start: int, end: int, text: str | None = None, around: int = 0
    ) -> Self:
        """A line of a context, with `around` lines to show before and after it."""
        hit = super().__new__(cls, context, start, end, text)
        hit._around = around
        return hit

    @property
    def before(self) -> list[Any]:
        """The lines of its document just before it, as many as were asked for."""
        return lines_between(self.document, self.line - self._around, self.line - 1)

    @property
    def after(self) -> list[Any]:
        """The lines of its document just after it, as many as were asked for."""
        return lines_between(self.document, self.line + 1, self.line + self._around)

    def __str__(self) -> str:
        return f"{self.title}:{self.line}: {self._whole()}"

    def __repr__(self) -> str:
        return repr(str(self))

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self._context, self._start, self._end, self._whole(), self._around


class Passage(Span):
    """A passage that `search` found, with its score: higher is better, for one query only.

    Its text is the whole passage; in a printed list only the part that says most is shown.
    """

    __slots__ = ("_part", "_score")

    def __new__(
        cls, context: Home, start: int, end: int, score: float, part: tuple[int, int]
    ) -> Self:
        """A piece of a context with its score, and the range of it that says most."""
        passage = super().__new__(cls, context, start, end)
        passage._score = score
        passage._part = part
        return passage

    @property
    def score(self) -> float:
        """How well it fits the query."""
        return self._score

    @property
    def excerpt(self) -> Any:
        """The part of it that says most about the query, a few sentences at most."""
        return self._context._cut(*self._part).strip()

    def __repr__(self) -> str:
        excerpt = self.excerpt
        before = "… " if excerpt.start > self._start else ""
        after = " …" if excerpt.end < self._end else ""
        return repr(f"{before}{excerpt}{after}")

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self._context, self._start, self._end, self._score, self._part
