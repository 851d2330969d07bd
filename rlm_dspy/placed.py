"""A text that says where it stands in the contexts that it was cut from.

The REPL names the places, and the REPL is not trusted: whoever counts them compares the text there
with the text here first.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Origin(NamedTuple):
    """A range of a context.

    Attributes:
        context: The context's number on the host.
        start: Where the range starts there, in characters.
        end: Where it ends there.
    """

    context: int
    start: int
    end: int


class Placed(str):
    """A `str` with the places that it, or parts of it, are said to come from.

    Args:
        text: The text.
        origins: The places, in the order in which their texts stand in it.
    """

    __slots__ = ("origins",)

    origins: tuple[Origin, ...]

    def __new__(cls, text: str, origins: Iterable[Origin] = ()) -> "Placed":
        """A text with its places."""
        placed = super().__new__(cls, text)
        placed.origins = tuple(origins)
        return placed

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.origins)


def origins_of(text: str) -> tuple[Origin, ...]:
    """The places that a text is said to come from; none for most."""
    return text.origins if isinstance(text, Placed) else ()


def takes_origins(function: F) -> F:
    """Marks a host function that is told where its arguments come from; others get plain `str`."""
    function.__dict__["takes_origins"] = True
    return function


def plain(value: Any) -> Any:
    """Plain data without any places."""
    if isinstance(value, Placed):
        return str(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return type(value)(map(plain, value))
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    return value


def joined(separator: str, texts: Sequence[str]) -> str:
    """As `separator.join(texts)`, keeping their places."""
    origins = [origin for text in texts for origin in origins_of(text)]
    whole = separator.join(texts)
    return Placed(whole, origins) if origins else whole
