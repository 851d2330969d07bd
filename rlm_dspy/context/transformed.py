"""The `str` operations that make a new text: what a long view decodes itself once for.

`format` and `format_map` are left out on purpose: a format string can reach into the attributes of
its arguments, past the sandbox's policy.
"""

from collections.abc import Callable, Iterable
from typing import Any

from rlm_dspy.context.pieces import Pieces, plain


def _as_str(name: str) -> Callable[..., Any]:
    """The method of `str` with this name, on the decoded text."""
    method = getattr(str, name)

    def call(self: Pieces, *args: Any, **kwargs: Any) -> Any:
        return method(self._whole(), *map(plain, args), **kwargs)

    call.__name__ = name
    call.__doc__ = f"As `str.{name}`; the result is plain."
    return call


class Transformed(Pieces):
    """Read-only text whose transforming methods give plain values, as `str` does."""

    __slots__ = ()

    lower = _as_str("lower")
    upper = _as_str("upper")
    casefold = _as_str("casefold")
    capitalize = _as_str("capitalize")
    swapcase = _as_str("swapcase")
    replace = _as_str("replace")
    translate = _as_str("translate")
    expandtabs = _as_str("expandtabs")
    center = _as_str("center")
    ljust = _as_str("ljust")
    rjust = _as_str("rjust")
    zfill = _as_str("zfill")
    encode = _as_str("encode")
    isalnum = _as_str("isalnum")
    isalpha = _as_str("isalpha")
    isascii = _as_str("isascii")
    isdecimal = _as_str("isdecimal")
    isdigit = _as_str("isdigit")
    isidentifier = _as_str("isidentifier")
    islower = _as_str("islower")
    isnumeric = _as_str("isnumeric")
    isprintable = _as_str("isprintable")
    isspace = _as_str("isspace")
    istitle = _as_str("istitle")
    isupper = _as_str("isupper")

    def join(self, parts: Iterable[Any], /) -> str:
        """As `str.join`; the parts may be pieces."""
        return self._whole().join(map(plain, parts))

    def __add__(self, other: Any) -> str:
        other = plain(other)
        return self._whole() + other if isinstance(other, str) else NotImplemented

    def __radd__(self, other: Any) -> str:
        return other + self._whole() if isinstance(other, str) else NotImplemented

    def __mul__(self, times: Any) -> str:
        return self._whole() * times

    __rmul__ = __mul__

    def __lt__(self, other: Any) -> bool:
        return self._whole() < plain(other)

    def __le__(self, other: Any) -> bool:
        return self._whole() <= plain(other)

    def __gt__(self, other: Any) -> bool:
        return self._whole() > plain(other)

    def __ge__(self, other: Any) -> bool:
        return self._whole() >= plain(other)
