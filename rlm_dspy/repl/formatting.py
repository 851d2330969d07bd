"""`str.format` with its attribute access under the guards.

Promises: a template without attribute access is formatted by `str.format` itself; one with it gives
the same result, each attribute read through `guards.read_any`. The template's own source of danger
is only that: `{0.__class__.__base__}` reads attributes that no compiler pass sees.
"""

import _string  # ty: ignore[import-not-found]
from collections.abc import Iterator, Mapping, Sequence
from string import Formatter as _LibraryFormatter
from typing import Any

from rlm_dspy.repl import guards, rules
from rlm_dspy.repl.names import exact


def _reads_attributes(template: str) -> bool:
    for _, field, spec, _ in _string.formatter_parser(template):
        if field is not None:
            _, rest = _string.formatter_field_name_split(field)
            if any(is_attribute for is_attribute, _ in rest):
                return True
            if spec and "{" in spec and _reads_attributes(spec):
                return True
    return False


class Formatter:
    """`string.Formatter`, reading attributes through the guards.

    It stands alone, with the library's functions as its methods: as a subclass, `super()` would
    lead to the library's unguarded `get_field`.
    """

    format = _LibraryFormatter.format
    vformat = _LibraryFormatter.vformat
    get_value = _LibraryFormatter.get_value
    check_unused_args = _LibraryFormatter.check_unused_args
    format_field = _LibraryFormatter.format_field
    convert_field = _LibraryFormatter.convert_field

    def _vformat(
        self,
        template: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        used: set[Any],
        depth: int,
        number: Any = 0,
    ) -> tuple[str, Any]:
        """As the library's, which before Python 3.14 knows `{}` but not `{.name}` and `{[0]}`.

        `number` is that of the next field without one; False where fields have their own.
        """
        if depth < 0:
            raise ValueError("Max string recursion exceeded")
        result: list[str] = []
        for literal, field, spec, conversion in self.parse(template):
            result.append(literal)
            if field is None:
                continue
            first, _ = _string.formatter_field_name_split(field)
            if first == "" if number is False else isinstance(first, int) and number:
                raise ValueError("cannot switch between manual and automatic field numbering")
            if first == "":
                field, number = f"{number}{field}", number + 1
            elif isinstance(first, int):
                number = False
            obj, used_key = self.get_field(field, args, kwargs)
            used.add(used_key)
            obj = self.convert_field(obj, conversion)
            inner, number = self._vformat(spec, args, kwargs, used, depth - 1, number)
            result.append(self.format_field(obj, inner))
        return "".join(result), number

    def parse(self, format_string: str) -> Iterator[Any]:
        """Splits a template into (literal, field, spec, conversion)."""
        return _string.formatter_parser(exact(format_string))

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Finds the value that a field names, and the argument it started from."""
        first, rest = _string.formatter_field_name_split(exact(field_name))
        obj = self.get_value(first, args, kwargs)
        for is_attribute, key in rest:
            obj = guards.read_any(obj, key) if is_attribute else obj[key]
        return obj, first


_FORMATTER = Formatter()


def safe_format(template: str, /, *args: Any, **kwargs: Any) -> str:
    """`str.format`."""
    plain = exact(template)
    if _reads_attributes(plain):
        return _FORMATTER.vformat(plain, args, kwargs)
    return str.format(plain, *args, **kwargs)


def safe_format_map(template: str, mapping: Mapping[str, Any], /) -> str:
    """`str.format_map`."""
    plain = exact(template)
    if _reads_attributes(plain):
        return _FORMATTER.vformat(plain, (), mapping)
    return str.format_map(plain, mapping)


guards.FORMAT_METHODS.update(format=safe_format, format_map=safe_format_map)
rules.OPEN_CLASSES.add(Formatter)
