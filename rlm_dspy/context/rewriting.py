r"""Regular expressions of Python's `re` written again for RE2.

A pattern is read by `re`'s own parser. Every character class becomes the very characters that `re`
says it holds, found by asking it; `^`, `$`, `\A` and `\Z` become the ends of a line; groups lose
their names and quantifiers their greed, for a line matches or not. What has no linear time is
refused.
"""

import re
from array import array
from collections.abc import Iterator
from functools import cache
from re import _compiler, _parser  # ty: ignore[missing-module-member]
from typing import Any

from rlm_dspy.errors import ContextError

ASCII_END, UNICODE_END = 0x80, 0x110000
# All characters with two cases lie below this one.
_CASED_END = 0x20000
_NEWLINE = ord("\n")
_NOTHING = r"[^\x00-\x{10FFFF}]"
_LINE_ENDS = {
    "AT_BEGINNING": "(?m:^)",
    "AT_BEGINNING_STRING": "(?m:^)",
    "AT_END": "(?m:$)",
    "AT_END_STRING": "(?m:$)",
}
_BOUNDARIES = {"AT_BOUNDARY": r"\b", "AT_NON_BOUNDARY": r"\B"}
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT")
# Python 3.14 made `\B` match an empty text.
_EMPTY_HAS_NO_BOUNDARY = re.search(r"\B", "") is not None
# What cannot be matched in linear time, and what to write instead.
_REFUSED = {
    "ASSERT": (
        "a lookahead or lookbehind, (?=…) or (?<=…)",
        "match what must be there as a part of the line, or grep one part and filter the hits",
    ),
    "ASSERT_NOT": (
        "a negative lookahead or lookbehind, (?!…) or (?<!…)",
        "grep what must be there and leave out hits in Python: [h for h in hits if 'x' not in h]",
    ),
    "GROUPREF": (
        "a backreference, such as \\1 or (?P=name)",
        "grep the line without it and compare the two places in Python with re.search",
    ),
    "GROUPREF_EXISTS": ("a condition, (?(group)…|…)", "write both cases out: one|other"),
    "ATOMIC_GROUP": ("an atomic group, (?>…)", "write (?:…)"),
    "POSSESSIVE_REPEAT": ("a possessive quantifier, such as *+", "leave out its last +"),
}

Range = tuple[int, int]


class Expression:
    """A pattern of `re`, read.

    Args:
        pattern: For str.

    Raises:
        ContextError: It holds what has no linear time.
    """

    def __init__(self, pattern: "re.Pattern[str]"):
        self.source = pattern.pattern
        self._flags = pattern.flags & ~re.DEBUG
        self._tree = _parser.parse(self.source, self._flags)
        self._check()

    def _check(self) -> None:
        for operator, _, _ in _nodes(self._tree, self._flags):
            if operator in _REFUSED:
                construct, instead = _REFUSED[operator]
                raise ContextError(
                    f"grep: {self.source!r} has {construct}, which cannot be matched in linear "
                    f"time. Instead, {instead}.",
                    pattern=self.source,
                    construct=construct,
                )
        if len(self._boundary_flags()) > 1:
            raise ContextError(
                f"grep: {self.source!r} has \\b both with and without the flag ASCII: use one.",
                pattern=self.source,
            )

    def _boundary_flags(self) -> set[int]:
        return {
            flags & re.ASCII
            for operator, value, flags in _nodes(self._tree, self._flags)
            if operator == "AT" and value.name in _BOUNDARIES
        }

    @property
    def has_boundaries(self) -> bool:
        r"""Whether it has a `\b` or `\B`."""
        return bool(self._boundary_flags())

    @property
    def has_unicode_boundaries(self) -> bool:
        r"""Whether it has a `\b` or `\B` of other words than ASCII ones."""
        return 0 in self._boundary_flags()

    def matches_empty(self) -> bool:
        """Whether it matches an empty line."""
        return _matches_empty(self._tree)

    def written(
        self, end: int, *, boundaries: bool = True, marked: tuple[Range, ...] = ()
    ) -> bytes:
        r"""The pattern for RE2.

        Args:
            end: Texts have only characters below this one.
            boundaries: Whether `\b` and `\B` are kept; else they match everywhere.
            marked: Ranges of characters that stand between underscores in the text.
        """
        return _Writer(end, boundaries, marked).sequence(self._tree, self._flags).encode()


class _Writer:
    def __init__(self, end: int, boundaries: bool, marked: tuple[Range, ...]):
        self._end = end
        self._boundaries = boundaries
        self._marked = marked

    def sequence(self, tree: Any, flags: int) -> str:
        return "".join(self._node(operator, value, flags) for operator, value in tree)

    def _node(self, operator: Any, value: Any, flags: int) -> str:
        name = operator.name
        if name == "FAILURE":
            return _NOTHING
        if name == "AT":
            return self._place(value.name)
        inner = [self.sequence(*child) for child in _children(name, value, flags)]
        if name in _REPEATS:
            low, high, _ = value
            most = "" if high == _parser.MAXREPEAT else high
            return f"(?:{inner[0]}){{{low},{most}}}"
        if inner:
            return f"(?:{'|'.join(inner)})"
        return self._characters(_members(operator, value, flags, self._end))

    def _place(self, name: str) -> str:
        if name in _LINE_ENDS:
            return _LINE_ENDS[name]
        return _BOUNDARIES[name] if self._boundaries else "(?:)"

    def _characters(self, ranges: list[Range]) -> str:
        if not self._marked:
            return _class(ranges)
        between = _class(_overlap(ranges, self._marked))
        return f"(?:{_class(_overlap(ranges, _gaps(self._marked)))}|_{between}_)"


def literal_of(pattern: "re.Pattern[str]") -> str | None:
    """The text that a pattern of `re` stands for, where it has no operator at all."""
    tree = _parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    if pattern.flags & re.IGNORECASE or any(op.name != "LITERAL" for op, _ in tree):
        return None
    return "".join(chr(code) for _, code in tree)


def marked_characters() -> tuple[Range, ...]:
    r"""The characters of words that RE2's `\b` does not know, and the underscore, which marks."""
    return tuple(_ranges_of(re.compile(r"(?:[^\x00-\x7f\W]|_)+"), UNICODE_END))


def any_character(marked: tuple[Range, ...]) -> bytes:
    """Any one character of a text with marks, for RE2."""
    return f"(?:{_class(list(_gaps(marked)))}|_(?s:.)_)".encode() if marked else b"(?s:.)"


def _nodes(tree: Any, flags: int) -> Iterator[tuple[str, Any, int]]:
    """All nodes of a tree: the operator, its value and the flags that hold there."""
    for operator, value in tree:
        yield operator.name, value, flags
        for child in _children(operator.name, value, flags):
            yield from _nodes(*child)


def _children(name: str, value: Any, flags: int) -> list[tuple[Any, int]]:
    if name == "BRANCH":
        return [(branch, flags) for branch in value[1]]
    if name in _REPEATS:
        return [(value[2], flags)]
    if name == "SUBPATTERN":
        _, added, removed, tree = value
        if added & _parser.TYPE_FLAGS:
            flags &= ~_parser.TYPE_FLAGS
        return [(tree, (flags | added) & ~removed)]
    return []


def _matches_empty(tree: Any) -> bool:
    return all(_is_empty(operator.name, value) for operator, value in tree)


def _is_empty(name: str, value: Any) -> bool:
    if name == "AT":
        return value.name in _LINE_ENDS or (
            value.name == "AT_NON_BOUNDARY" and _EMPTY_HAS_NO_BOUNDARY
        )
    if name in _REPEATS and not value[0]:
        return True
    return any(_matches_empty(child) for child, _ in _children(name, value, 0))


# Characters.


def _members(operator: Any, value: Any, flags: int, end: int) -> list[Range]:
    """The characters below `end` that a node of one character matches, but the newline."""
    if operator.name == "LITERAL":
        if not flags & re.IGNORECASE or value >= _CASED_END:
            return [(value, value)] if value < end and value != _NEWLINE else []
        end = min(end, _CASED_END)
    state = _parser.State()
    state.flags = flags
    one = _parser.SubPattern(state, [(operator, value)])
    many = _parser.SubPattern(state, [(_parser.MAX_REPEAT, (1, _parser.MAXREPEAT, one))])
    newline = ((_NEWLINE, _NEWLINE),)
    return _overlap(_ranges_of(_compiler.compile(many, flags), end), _gaps(newline))


def _ranges_of(runs: "re.Pattern[str]", end: int) -> list[Range]:
    return [(found.start(), found.end() - 1) for found in runs.finditer(_alphabet(end))]


@cache
def _alphabet(end: int) -> str:
    codes = array("I", range(end))
    return codes.tobytes().decode("utf-32", "surrogatepass")


def _overlap(some: list[Range], others: Any) -> list[Range]:
    """What two sorted lists of ranges have in common."""
    common, others = [], list(others)
    at = 0
    for low, high in some:
        while at < len(others) and others[at][1] < low:
            at += 1
        for first, last in others[at:]:
            if first > high:
                break
            common.append((max(low, first), min(high, last)))
    return common


def _gaps(ranges: tuple[Range, ...]) -> Iterator[Range]:
    """What lies between sorted ranges."""
    low = 0
    for first, last in ranges:
        if low < first:
            yield low, first - 1
        low = last + 1
    if low < UNICODE_END:
        yield low, UNICODE_END - 1


def _class(ranges: list[Range]) -> str:
    if not ranges:
        return _NOTHING
    return "[" + "".join(rf"\x{{{low:X}}}-\x{{{high:X}}}" for low, high in ranges) + "]"
