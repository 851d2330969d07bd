"""What a `match` statement reads: classes and dotted names in patterns.

The interpreter itself reads the attributes that a class pattern names, past every guard; so at the
moment a pattern with attributes is tried, its class is replaced by one that matches the same
subjects, and that asks the rules about each subject before the interpreter reads from it.
"""

import functools
from collections.abc import Callable
from typing import Any

from rlm_dspy.repl import names, rules
from rlm_dspy.repl.names import RefusedAttribute

# `case int(n)` captures the subject itself with these and their subclasses (the language reference,
# "class patterns"); a bool is an int to that end.
_CAPTURING = (bytearray, bytes, dict, float, frozenset, int, list, set, str, tuple)


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
        if not isinstance(cls, type):
            return cls  # the interpreter says that it is none
        # Looked up each time: a decorator may give a class its `__match_args__` late.
        positional = _positional(cls) if self._count else None
        return _checked(cls, positional, self._keywords + (positional or ())[: self._count])


@functools.lru_cache(maxsize=1000)
def _checked(cls: type, positional: tuple[str, ...] | None, read_names: tuple[str, ...]) -> type:
    for name in read_names:
        if name[:1] == "_" or name in names.FRAME_NAMES or name in names.FORMATTERS:
            raise _refused(cls, name)
    return _watched(cls, positional, read_names) if read_names else cls


def _refused(cls: type, name: str) -> RefusedAttribute:
    return RefusedAttribute(
        f"`case {cls.__name__}(…)` cannot read `{name}`: "
        "capture the object with `as` and read the attribute from it"
    )


def _positional(cls: type) -> tuple[str, ...] | None:
    """`__match_args__` as it stands in a class's own dictionary, so that no descriptor answers."""
    for base in cls.__mro__:
        raw = base.__dict__.get("__match_args__")
        if raw is not None:
            if type(raw) is tuple and all(type(name) is str for name in raw):
                return raw
            raise names.PolicyError("`__match_args__` must be a tuple of strings")
    return None


class _Watched(type):
    """The class of classes that stand for another in one pattern."""

    real: type
    names: tuple[str, ...]

    def __instancecheck__(cls, subject: Any) -> bool:
        if not isinstance(subject, cls.real):
            return False
        kind = type(subject)
        if kind in rules.FREE_READ:
            return True
        # A class gives more than its instances do (`mro`, `register`, functions that take any
        # `self`), and `isinstance` can be made to hold for it; its rule refuses everything.
        rule = rules.rule_of(kind)
        for name in cls.names:
            if name in rule:
                raise _refused(cls, name)
        return True


def _watched(cls: type, positional: tuple[str, ...] | None, read_names: tuple[str, ...]) -> type:
    bases: tuple[type, ...] = ()
    members: dict[str, Any] = {"real": cls, "names": read_names}
    if positional is not None:
        members["__match_args__"] = positional
    else:
        bases = tuple(base for base in cls.__mro__ if base in _CAPTURING)[:1]
    return _Watched(cls.__name__, bases, members)


class Hold:
    """A value in the one form that the compiler takes in a pattern."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value
