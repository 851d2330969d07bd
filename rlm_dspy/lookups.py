"""`Lookup`: an answer that a rule finds in the text, without a model; declared by the user."""

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Aggregate = Literal["count", "sum", "mean", "min", "max"]


class Lookup(BaseModel):
    r"""How one output is found in the text.

    One of `pattern`, `after`, `field`, or a table's `column` and `where` says what is sought. The
    lookup answers only where what it finds is one value of the output's type: found nowhere, twice
    with different values, or of another type, it leaves the question to the model.

    `{name}` in what is sought stands for that named group of `when`.

    Args:
        output: The output that it gives; None for the first one.
        when: A regular expression, in any case, that the question must match somewhere; None for
            any question.
        pattern: A regular expression, matched within each line: its named group `value` is the
            answer, else its first group, else all of it.
        after: What stands right before the answer, which ends at the end of the line.
        field: The label of a `label: value` line, in any case.
        column: The column of a Markdown, CSV or TSV table that has the answer.
        where: What the table's row has in other columns, by their names.
        aggregate: What is made of all such rows in place of one row's cell; "count" needs no
            column.

    Raises:
        pydantic.ValidationError: It says nothing to seek, more than one thing, or a pattern that is
            no regular expression.

    Example:
        >>> Lookup(when=r"invoice (?P<n>\d+)", column="total", where={"id": "{n}"}).column
        'total'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    output: str | None = None
    when: str | None = None
    pattern: str | None = None
    after: str | None = Field(default=None, min_length=1)
    field: str | None = Field(default=None, min_length=1)
    column: str | None = None
    where: dict[str, str] = {}
    aggregate: Aggregate | None = None

    @field_validator("when", "pattern")
    @classmethod
    def _is_pattern(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
        return pattern

    @model_validator(mode="after")
    def _seeks_one_thing(self) -> "Lookup":
        sought = [self.pattern, self.after, self.field, self.column or self.aggregate]
        if sum(thing is not None for thing in sought) != 1:
            raise ValueError("give one of: pattern, after, field, column (or aggregate='count')")
        if self.where and not (self.column or self.aggregate):
            raise ValueError("where= needs a column, or aggregate='count'")
        if self.aggregate not in (None, "count") and self.column is None:
            raise ValueError(f"aggregate={self.aggregate!r} needs a column")
        return self

    def asked(self, question: str) -> "Lookup | None":
        """The lookup for a question, with what `when` found put in; None where it does not fit."""
        if self.when is None:
            return self
        match = re.search(self.when, question, re.IGNORECASE)
        if match is None:
            return None
        groups = {name: text or "" for name, text in match.groupdict().items()}
        escaped = {name: re.escape(text) for name, text in groups.items()}
        changed: dict[str, Any] = {
            name: _filled(getattr(self, name), groups) for name in ("after", "field", "column")
        }
        changed["pattern"] = _filled(self.pattern, escaped)
        changed["where"] = {k: _filled(v, groups) for k, v in self.where.items()}
        return self.model_copy(update=changed)


def _filled(text: str | None, groups: dict[str, str]) -> str | None:
    if text is None:
        return None
    return re.sub(r"\{(\w+)\}", lambda named: groups.get(named[1], named[0]), text)
