"""What a `match` statement reads: classes and dotted names in patterns.

The interpreter itself reads the attributes that a class pattern names, past every guard; so the
class and the names are checked at the moment the pattern is tried, and the checked class is the one
that is used.
"""

import functools
from collections.abc import Callable
from typing import Any

from rlm_dspy.repl import names, rules
from rlm_dspy.repl.names import RefusedAttribute


class ClassPattern:
    """A class in a `case`, looked up and checked at the moment it is tried.

    Args:
        lookup: Gives the class.
        count: How many positional patterns it has; they read `__match_args__`.
        keywords: The attributes that its keyword patterns read.
    """

    __slots__ = ("_count", "_keywords", "_lookup")

    def __init__(self, lookup: Callable[[], Any], count: int, keywords: tuple[str, ...]):
        self._lookup, self._count, self._keywords = lookup, count, keywords

    @property
    def cls(self) -> Any:
        """The class; the interpreter goes on to read attributes of the subject by its names."""
        cls = self._lookup()
        read_names = self._keywords + (_positional(cls)[: self._count] if self._count else ())
        for name in read_names:
            # The subject may be any object (`register` makes virtual subclasses), so only names
            # that are free on every type are read this way.
            if name[:1] == "_" or name in names.FRAME_NAMES | names.FORMATTERS | pattern_denied():
                raise RefusedAttribute(
                    f"`case {getattr(cls, '__name__', 'X')}(…)` cannot read `{name}`: "
                    "capture the object with `as` and read the attribute from it"
                )
        return cls


def _positional(cls: Any) -> tuple[str, ...]:
    """`__match_args__` as it stands in a class's own dictionary, so that no descriptor answers."""
    for base in cls.__mro__ if isinstance(cls, type) else ():
        raw = base.__dict__.get("__match_args__")
        if raw is not None:
            if type(raw) is tuple and all(type(name) is str for name in raw):
                return raw
            raise names.PolicyError("`__match_args__` must be a tuple of strings")
    return ()


@functools.cache
def pattern_denied() -> frozenset[str]:
    """Every public name that is refused on some type."""
    return frozenset().union(*rules.DENIED.values())


class Hold:
    """A value in the one form that the compiler takes in a pattern."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value
